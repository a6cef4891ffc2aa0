import * as z from 'zod';
import type { RateLimit } from '#lib/domain/rate-limit.ts';
import { createSecrets, secretReader } from './secrets.ts';

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `Must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());

/** `count/seconds`, or `0` for no limit. */
const limit = (initial: { count: number; seconds: number }) =>
  optional(
    z
      .string()
      .regex(/^(0|[1-9]\d{0,8}\/[1-9]\d{0,5})$/, {
        error: 'Must be requests per seconds, such as 60/3600, or 0 for no limit',
      })
      .transform((text): RateLimit => {
        const [count = 0, seconds = 0] = text.split('/').map(Number);
        return count === 0 ? undefined : { count, seconds };
      })
      // An empty variable differs from an absent one.
      .transform((rate) => ({ rate })),
  ).transform((given) => (given === undefined ? initial : given.rate));

/** Origins, separated by commas. */
const origins = z
  .string()
  .default('')
  .transform((text) => text.split(',').flatMap((origin) => origin.trim() || []))
  .refine((all) => all.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
    error: 'Must be origins such as https://chat.example.org, separated by commas',
  });

const trustedProxies = optional(
  z.string().regex(/^(\d|10)$/, { error: 'Must be a whole number from 0 to 10' }),
).transform((digits) => Number(digits ?? 0));

const pingSeconds = optional(
  z
    .string()
    .regex(/^\d{1,3}$/, { error: 'Must be a whole number from 5 to 300' })
    .transform(Number)
    .refine((seconds) => seconds >= 5 && seconds <= 300, { error: 'Must be a whole number from 5 to 300' }),
).transform((seconds) => seconds ?? 30);

const environment = z.object({
  MYSQL_URL: url('mysql:'),
  REDIS_URL: url('redis:', 'rediss:'),
  RABBITMQ_URL: url('amqp:', 'amqps:'),
  /** Without it search answers 503, and messages wait in the queue of the index. */
  OPENSEARCH_URL: optional(url('http:', 'https:')),
  /** One secret, or several for a rotation, separated by commas: the first encrypts, all decrypt. */
  JWT_SECRET: z
    .string()
    .transform((text) => text.split(','))
    .refine((secrets) => secrets.every((secret) => secret.length >= 32), {
      error: 'Must be 32 characters or more (each, if several are separated by commas)',
    }),
  REDIS_KEY_PREFIX: z.string().default(''),
  /** OpenSearch allows no other beginning of an index' name. */
  OPENSEARCH_INDEX_PREFIX: z
    .string()
    .regex(/^(?:[a-z0-9][a-z0-9_.-]{0,99})?$/, {
      error: 'Must begin with a lower-case letter or digit, and hold only these and "_", "-", "."',
    })
    .default(''),
  /** The origins of web pages that may read answers of this API. Default: none. */
  CORS_ORIGINS: origins,
  /** How many addresses at the end of `X-Forwarded-For` belong to proxies in front of the API. */
  TRUSTED_PROXIES: trustedProxies,
  /** The CloudWatch namespace of `reportMetrics`. */
  METRICS_NAMESPACE: z.string().default('chat'),
  /**
   * How often a command without a stored parent is delivered again, one second apart, before it becomes a
   * dead letter.
   */
  MAX_DEFERRALS: optional(
    z
      .string()
      .regex(/^[1-9]\d{0,8}$/, { error: 'Must be a whole number from 1 up' })
      .transform(Number),
  ).transform((value) => value ?? 600),
  /** Counted by client address. */
  LIMIT_SIGN_UP: limit({ count: 60, seconds: 3_600 }),
  LIMIT_SIGN_IN: limit({ count: 40, seconds: 60 }),
  LIMIT_BAD_TOKENS: limit({ count: 600, seconds: 60 }),
  /** Counted by user. Generous, because one user may be a server that acts for many people. */
  LIMIT_READS: limit({ count: 12_000, seconds: 60 }),
  LIMIT_WRITES: limit({ count: 6_000, seconds: 60 }),
  /** Seconds within which a client of the WebSocket API must send a ping. */
  PING_SECONDS: pingSeconds,
  /** Where connections of the WebSocket API are posted to. Set by the start command and the template. */
  CONNECTIONS_URL: optional(url('http:', 'https:')),
  /** Where functions are invoked. Set by the start command. Default: the region's Lambda API. */
  LAMBDA_URL: optional(url('http:', 'https:')),
  /** Megabytes, set by Lambda. Elsewhere the machine's memory counts. */
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: optional(z.coerce.number().int().min(128)),
});

export type Config = z.output<typeof environment>;

/** The names of all settings that functions read. */
export const settingNames = Object.keys(environment.shape);

/** @returns every setting that is missing or malformed, without its value */
export const findFaults = (variables: NodeJS.ProcessEnv): { name: string; message: string }[] =>
  (environment.safeParse(variables).error?.issues ?? []).map(({ path, message }) => ({
    name: String(path[0]),
    message,
  }));

/** `SECRET_ARN_MYSQL_URL` names the secret that holds `MYSQL_URL`. */
const ARN_PREFIX = 'SECRET_ARN_';

/** @returns the secret of each setting that a function may read; none outside the cloud */
const readArns = (variables: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).flatMap(([name, arn]) =>
      name.startsWith(ARN_PREFIX) && arn ? [[name.slice(ARN_PREFIX.length), arn]] : [],
    ),
  );

/**
 * @param variables of the environment, and the secrets beside them
 * @returns every setting. In the cloud a function has only the secrets that it uses, and reading another setting throws.
 * @throws one Error that names every variable that is missing or malformed, and never shows a value
 */
export const readConfig = (variables: NodeJS.ProcessEnv): Config => {
  const arns = readArns(variables);
  const isCloud = Object.keys(arns).length > 0;
  const result = environment.safeParse(variables);
  if (result.success) return result.data;
  const isOfAnother = (name: string) => isCloud && variables[name] === undefined && arns[name] === undefined;
  const names = findFaults(variables);
  const faults = names
    .filter(({ name }) => !isOfAnother(name))
    .map(({ name, message }) => `  ${name}: ${variables[name] ? message : 'is not set'}`);
  if (faults.length > 0)
    throw new Error(`Environment variables are missing or invalid:\n${faults.join('\n')}`);
  return partOf(variables, new Set(names.map(({ name }) => name)));
};

/** The settings of this function. Reading a setting whose secret the function lacks throws. */
const partOf = (variables: NodeJS.ProcessEnv, absent: ReadonlySet<string>): Config => {
  const { shape } = environment;
  const present = Object.entries(shape).filter(([name]) => !absent.has(name));
  const values = z.object(Object.fromEntries(present)).parse(variables);
  for (const name of absent) {
    Object.defineProperty(values, name, {
      get: () => {
        throw new Error(`${name}: this function has no such secret (SECRET_ARN_${name} is not set).`);
      },
    });
  }
  return values as Config;
};

/** What signs calls to AWS. Outside the cloud nobody checks a signature. */
const credentialsOf = (variables: NodeJS.ProcessEnv) => ({
  region: variables.AWS_REGION || 'local',
  accessKeyId: variables.AWS_ACCESS_KEY_ID || 'local',
  secretAccessKey: variables.AWS_SECRET_ACCESS_KEY || 'local',
  sessionToken: variables.AWS_SESSION_TOKEN,
});

const secretsOf = (variables: NodeJS.ProcessEnv) => {
  const region = variables.AWS_REGION ?? '';
  const endpoint =
    variables.AWS_ENDPOINT_URL_SECRETS_MANAGER || `https://secretsmanager.${region}.amazonaws.com`;
  return createSecrets(readArns(variables), {
    read: (arn) =>
      secretReader(new URL(endpoint), {
        region,
        accessKeyId: variables.AWS_ACCESS_KEY_ID ?? '',
        secretAccessKey: variables.AWS_SECRET_ACCESS_KEY ?? '',
        sessionToken: variables.AWS_SESSION_TOKEN,
      })(arn),
  });
};

/** The secrets of this execution environment. */
export const secrets = /* @__PURE__ */ secretsOf(process.env);

/** Needs no secret. @throws ZodError for text that is not a list of origins */
export const currentOrigins = (): ReadonlySet<string> => new Set(origins.parse(process.env.CORS_ORIGINS));

/** Needs no secret. @throws ZodError for text that is not a whole number */
export const currentTrustedProxies = (): number => trustedProxies.parse(process.env.TRUSTED_PROXIES);

/** Needs no secret. @throws ZodError for text that is no URL, or without one */
export const currentConnectionsUrl = (): string => url('http:', 'https:').parse(process.env.CONNECTIONS_URL);

/** Where clients connect; undefined where the functions do not know it. Needs no secret. */
export const currentSocketUrl = (): string | undefined =>
  process.env.CONNECTIONS_URL ? currentConnectionsUrl().replace(/^http/, 'ws') : undefined;

/** The credentials of this execution environment. */
export const currentCredentials = () => credentialsOf(process.env);

/**
 * Where another function of this service is invoked, and its full name. Needs no secret.
 * @param key of the function in serverless.yml
 */
export const currentFunction = (key: string): { url: string; name: string } => {
  const { LAMBDA_URL, AWS_REGION = '', AWS_LAMBDA_FUNCTION_NAME = '' } = process.env;
  return {
    url: LAMBDA_URL || `https://lambda.${AWS_REGION}.amazonaws.com`,
    name: AWS_LAMBDA_FUNCTION_NAME.replace(/[^-]*$/, key),
  };
};

/** The configuration of this execution environment. @throws Error as {@link readConfig} does */
export const currentConfig = (): Config => readConfig({ ...process.env, ...secrets.get() });
