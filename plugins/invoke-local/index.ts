import { messagesOf } from '#lib/consumer/read-batch.ts';
import { expectHttpEvent } from '#lib/http/middleware.ts';
import { secretOf, urlsOf } from '../../local/services/index.ts';

/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  service: { functions: Record<string, { events?: Record<string, unknown>[] } | undefined> };
  classes: { Error: new (message: string, code: string) => Error };
};
type Options = { function?: string; data?: unknown };

/** How the wrapper of each kind of function refuses events of other kinds. */
const checks: Record<string, (event: unknown) => unknown> = {
  httpApi: expectHttpEvent,
  rabbitmq: messagesOf,
};

const stack = 'start';
const variables = ['MYSQL_URL', 'REDIS_URL', 'RABBITMQ_URL', 'OPENSEARCH_URL', 'JWT_SECRET'] as const;

/**
 * For `sls invoke local`: a function uses the servers of a running `npm start`, unless the environment names others.
 * `${NAME}` in an event stands for the variable NAME, so that event files contain no access token.
 */
export default class InvokeLocal {
  readonly hooks: Record<string, () => void>;
  readonly #serverless: Serverless;

  constructor(serverless: Serverless, options: Options) {
    this.#serverless = serverless;
    const given = new Set(variables.filter((name) => process.env[name] !== undefined));
    this.hooks = {
      'before:invoke:local:invoke': () => {
        this.#completeEnvironment(given);
        options.data = this.#fill(options.data);
        this.#checkKind(options);
      },
      // The function's clients stay open, as in the cloud between two events, so the process must be ended.
      'after:invoke:local:invoke': () => {
        process.stdout.write('', () => process.exit());
      },
    };
    // osls looks for credentials, which no function here needs, and waits long for an answer of EC2.
    if (process.argv.includes('invoke')) process.env.AWS_EC2_METADATA_DISABLED ??= 'true';
  }

  /** The function would refuse the event as well, but osls would add a stack trace. */
  #checkKind({ function: key = '', data }: Options): void {
    const { events = [] } = this.#serverless.service.functions[key] ?? {};
    const [kind = '', ...others] = new Set(events.flatMap((event) => Object.keys(event)));
    if (others.length > 0) return;
    try {
      checks[kind]?.(data);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      throw this.#error(`${key}: ${fault}`, 'EVENT_OF_ANOTHER_KIND');
    }
  }

  /** Sets missing variables to the services of a running `npm start`. */
  #completeEnvironment(given: ReadonlySet<string>): void {
    const missing = variables.filter((name) => !given.has(name));
    if (missing.length === 0) return;
    const urls = urlsOf(stack);
    if (urls === undefined) {
      throw this.#error(
        `Not set: ${missing.join(', ')}. Run npm start in another terminal, whose services are then used, or set them.`,
        'NO_SERVICES',
      );
    }
    const found: Record<string, string | undefined> = { ...urls, JWT_SECRET: secretOf(stack, 'jwt') };
    for (const name of missing) process.env[name] = found[name] ?? '';
  }

  #fill(event: unknown): unknown {
    if (event === undefined || event === '') return event;
    return JSON.parse(JSON.stringify(event), (_key, value) =>
      typeof value === 'string'
        ? value.replaceAll(/\$\{([A-Z_]+)\}/g, (_placeholder, name: string) => {
            const filled = process.env[name];
            if (filled !== undefined) return filled;
            throw this.#error(
              `The event wants a value for \${${name}}: set the variable ${name}.`,
              'EVENT_INCOMPLETE',
            );
          })
        : value,
    );
  }

  #error(message: string, code: string): Error {
    return new this.#serverless.classes.Error(message, code);
  }
}
