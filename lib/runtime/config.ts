import * as z from 'zod';

const url = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `Must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional());

const environment = z.object({
  MYSQL_URL: url('mysql:'),
  REDIS_URL: url('redis:', 'rediss:'),
  RABBITMQ_URL: url('amqp:', 'amqps:'),
  /** Without it search answers 503, and what is to be indexed waits in its queue. */
  OPENSEARCH_URL: optional(url('http:', 'https:')),
  /** One secret or, for a rotation, several with commas between: the first encrypts, all decrypt. */
  JWT_SECRET: z
    .string()
    .transform((text) => text.split(','))
    .refine((secrets) => secrets.every((secret) => secret.length >= 32), {
      error: 'Must be 32 characters or more (each, where there are several with commas between)',
    }),
  REDIS_KEY_PREFIX: z.string().default(''),
  OPENSEARCH_INDEX_PREFIX: z.string().default(''),
  /** How often a command whose parent is not stored yet comes back, a second apart, before it is set aside. */
  MAX_DEFERRALS: optional(z.coerce.number().int().min(1)).transform((value) => value ?? 600),
});

export type Config = z.output<typeof environment>;

/** @throws one Error that names every variable that is missing or malformed, and never shows a value */
export const readConfig = (variables: NodeJS.ProcessEnv): Config => {
  const result = environment.safeParse(variables);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => {
    const name = String(path[0]);
    return `  ${name}: ${variables[name] ? message : 'is not set'}`;
  });
  throw new Error(`The environment is not complete:\n${faults.join('\n')}`);
};
