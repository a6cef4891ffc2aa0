// `npm run demo [-- <file.ndjson>]`: replays recorded chat through the API of a running `npm start`.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { demonstrate } from './demo/demonstration.ts';
import { Failure, messageOf, terminalReport, type Urls, urlsOf } from './services/index.ts';

/** Made-up chats, for a demonstration without a file. */
const sample = join(import.meta.dirname, 'demo/sample.ndjson');

const usage = `npm run demo -- [file.ndjson] [--url http://localhost:3000] [--users 12] [--concurrency 32]

  Replays the messages of the file, one JSON object a line: {"chat", "sender", "body", "createdAt"}.
  Without a file it replays the made-up chats of local/demo/sample.ndjson.
  --url          the API: a running npm start, or another one. For another one, MYSQL_URL, REDIS_URL and
                 OPENSEARCH_URL name its servers
  --users        senders with an account of their own; the other senders share one account. An address may sign up 60
                 users an hour, unless the API was started with LIMIT_SIGN_UP=0
  --concurrency  chats that are sent in parallel`;

const wholeNumber = (name: string, text: string, maximum: number): number => {
  if (!/^[1-9]\d{0,5}$/.test(text) || Number(text) > maximum)
    throw new Failure(`--${name} is "${text}". Expected a whole number from 1 to ${maximum}.\n\n${usage}`);
  return Number(text);
};

const readArguments = () => {
  let given: ReturnType<typeof parse>;
  try {
    given = parse();
  } catch (error) {
    throw new Failure(`${messageOf(error)}\n\n${usage}`);
  }
  const { positionals, values } = given;
  const [file = sample] = positionals;
  if (positionals.length > 1) throw new Failure(`Expected one file, got ${positionals.length}.\n\n${usage}`);
  if (!URL.canParse(values.url) || !/^https?:$/.test(new URL(values.url).protocol))
    throw new Failure(`--url is "${values.url}". Expected something like http://localhost:3000.`);
  return {
    file,
    url: new URL(values.url),
    users: wholeNumber('users', values.users, 10_000),
    concurrency: wholeNumber('concurrency', values.concurrency, 1_000),
  };
};

const parse = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: `http://localhost:${process.env.PORT || 3000}` },
      users: { type: 'string', default: '12' },
      concurrency: { type: 'string', default: '32' },
    },
  });

/** The services of the API: as the environment says, else those of a running `npm start`. */
const findServices = (environment: NodeJS.ProcessEnv): Urls => {
  const running = urlsOf('start');
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL } = environment;
  const mysql = MYSQL_URL || running?.MYSQL_URL;
  const redis = REDIS_URL || running?.REDIS_URL;
  const search = OPENSEARCH_URL || running?.OPENSEARCH_URL;
  if (!mysql || !redis) {
    throw new Failure(
      'The demonstration compares the API with its servers, and found no running npm start of this checkout and user. Run npm start in another terminal, or set MYSQL_URL, REDIS_URL and OPENSEARCH_URL.',
    );
  }
  return {
    MYSQL_URL: mysql,
    REDIS_URL: redis,
    RABBITMQ_URL: RABBITMQ_URL || running?.RABBITMQ_URL || 'amqp://localhost',
    ...(search ? { OPENSEARCH_URL: search } : {}),
  };
};

try {
  const options = readArguments();
  const good = await demonstrate({
    ...options,
    services: findServices(process.env),
    environment: process.env,
    report: terminalReport(process.stdout),
  });
  process.exitCode = good ? 0 : 1;
} catch (error) {
  console.error(
    `\n${error instanceof Failure ? error.message : error instanceof Error ? error.stack : error}`,
  );
  process.exitCode = 1;
}
