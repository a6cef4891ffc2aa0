import * as z from 'zod';
import { emailPattern, parseEmailAddress } from '#lib/domain/email-address.ts';
import { parseInstant } from '#lib/domain/instant.ts';
import { limits } from '#lib/domain/limits.ts';
import { faultOfName, namePattern, trimName } from '#lib/domain/text.ts';

/** A lone surrogate has no UTF-8 form, so it could not be returned as it was sent. */
const wellFormed = (text: string) => text.isWellFormed();
const notWellFormed = { error: 'Must be well-formed Unicode (no lone surrogate)' };
/** @param maximum in code points */
const text = (maximum: number) => z.string().min(1).max(maximum).refine(wellFormed, notWellFormed);
/** @param maximum in code points as sent, with all spaces */
const visibleName = (maximum: number) =>
  z
    .string()
    .min(1)
    .max(maximum)
    .refine((value) => faultOfName(value) === undefined, {
      error: ({ input }) => faultOfName(String(input)) ?? 'Is not a name',
    })
    .overwrite(trimName)
    .meta({
      pattern: namePattern,
      description:
        'Contains a visible character, and no control or direction characters. Spaces around it are removed, and each run of spaces becomes one',
    });

/** An optional field of a body. An explicit `null` counts as absent. */
export const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);

/**
 * A rule about several fields. It runs only if every field is valid, so that one invalid field causes one
 * error.
 */
export const withRule = <Schema extends z.ZodType>(
  schema: Schema,
  holds: (value: z.output<Schema>) => boolean,
  { path, error }: { path: string[]; error: string },
): Schema => schema.refine(holds, { path, error, when: ({ issues }) => issues.length === 0 });

/** The examples of the OpenAPI document: one small conversation. */
export const examples = {
  token: 'Zk3vQ9xLr2Tn8bWc1yHd4gPa',
  user: 'Ada Lovelace',
  email: 'ada@example.org',
  handle: 'k3v9x2lr8tn5bw1c',
  title: 'Where is my order?',
  body: 'Hello, and welcome 👋',
  createdAt: '2026-03-01T09:30:00.000Z',
  editedAt: '2026-03-01T09:31:12.480Z',
  deletedAt: '2026-03-01T09:45:03.120Z',
  changeNumber: 1_772_357_400_000_000,
} as const;

const MAX_DIGITS = 15;
/**
 * A whole number in a path or a query, without sign, leading zero or fraction. The OpenAPI document shows an
 * integer.
 * @param initial the value if the field is absent
 */
const digits = (maximum: number, initial?: number) =>
  z
    .string()
    .regex(new RegExp(`^[1-9]\\d{0,${MAX_DIGITS - 1}}$`), {
      error: 'Must be a whole number, 1 or more',
      abort: true,
    })
    .meta({
      type: 'integer',
      minimum: 1,
      maximum,
      ...(initial === undefined ? { examples: [1] } : { default: initial }),
    })
    .transform(Number)
    .refine((value) => value <= maximum, { error: `Must be at most ${maximum}` });

export const token = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'Must be 1 to 64 letters, digits, "-" or "_"' })
  .meta({ description: 'The generated token of an application', examples: [examples.token] });
export const number = z
  .int()
  .min(1)
  .max(limits.number)
  .meta({ examples: [1] });
export const numberInPath = digits(limits.number);
export const name = visibleName(limits.name);
export const title = visibleName(limits.title).meta({ examples: [examples.title] });
export const body = text(limits.body).meta({
  description: 'Stored exactly as sent',
  examples: [examples.body],
});
export const email = z
  .string()
  .max(limits.email)
  // Without `format`: the formats of validators differ, for example about dots. The pattern is exact.
  .meta({ pattern: emailPattern.source, description: 'An e-mail address', examples: [examples.email] })
  .transform((text, context) => {
    const address = parseEmailAddress(text);
    if (address !== undefined) return address;
    context.addIssue({ code: 'custom', message: 'Must be an e-mail address' });
    return z.NEVER;
  });
/** The handle of a user, as `createHandle` makes it. */
export const handle = z.string().regex(/^[a-z0-9]{16}$/, { error: 'Must be the handle of a user' });
/** OWASP Authentication Cheat Sheet: a minimum length, a generous maximum, any character. */
export const password = z
  .string()
  .min(limits.passwordMinimum)
  .max(limits.password)
  .refine(wellFormed, notWellFormed)
  .meta({ format: 'password', examples: ['correct horse battery staple'] });
/** Any date and time that `parseInstant` reads. Returns milliseconds since 1970. */
export const instantMs = z
  .string()
  .meta({ format: 'date-time', examples: [examples.createdAt] })
  .transform((value, context) => {
    const parsed = parseInstant(value);
    if (parsed !== undefined) return parsed;
    context.addIssue('Must be a date and time with an offset (RFC 3339)');
    return z.NEVER;
  });
/** {@link instantMs} in UTC with milliseconds. */
export const instant = instantMs.transform((ms) => new Date(ms).toISOString());
export const searchText = text(limits.query)
  .regex(/\S/, { error: 'Must not be blank' })
  .meta({ description: 'Words to find; "quoted words" must occur as a phrase', examples: ['hello'] });

/** The largest number that {@link digits} takes. */
const MAX_PAGE = 10 ** MAX_DIGITS - 1;
const limit = digits(limits.pageSize, 10).default(10).describe(`Items a page, 1 to ${limits.pageSize}`);
const depth = `\`page\` and \`limit\` together skip at most ${limits.skippedRows} items`;

/** A number of a change, or a position in a feed. */
export const changeNumber = z
  .int()
  .min(0)
  .meta({ examples: [examples.changeNumber] });
/** A position in a feed, in a query: 0 is the beginning. */
const since = z
  .string()
  .regex(/^(0|[1-9]\d{0,15})$/, { error: 'Must be a whole number, 0 or more', abort: true })
  .meta({
    type: 'integer',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    examples: [examples.changeNumber],
  })
  .transform(Number)
  .refine((value) => value <= Number.MAX_SAFE_INTEGER, {
    error: `Must be at most ${Number.MAX_SAFE_INTEGER}`,
  });
/** For feeds of changes. */
export const feedPaging = {
  since: since
    .optional()
    .describe('The `changeNumber` of the answer before; 0 is the beginning. Without it: only where to begin'),
  limit: digits(limits.pageSize, limits.pageSize)
    .default(limits.pageSize)
    .describe(`Items a page, 1 to ${limits.pageSize}`),
};

export const paging = { page: digits(MAX_PAGE, 1).default(1).describe('1 is the first page'), limit };

/** For lists with {@link withBoundedDepth}. */
export const boundedPaging = {
  page: digits(limits.skippedRows + 1, 1)
    .default(1)
    .describe(`1 is the first page; ${depth}`),
  limit,
};

/** For lists with {@link withBoundedDepth} and the cursors `before` and `after`. */
export const pageOrBefore = digits(limits.skippedRows + 1)
  .optional()
  .describe(`1 is the first page, the default; ${depth}. Not together with \`before\` or \`after\``);

/** For searches, which have the cursor `after`. */
export const pageOrAfter = digits(limits.searchDepth)
  .optional()
  .describe(
    `1 is the first page, the default; \`page\` × \`limit\` is at most ${limits.searchDepth}. Not together with \`after\``,
  );

/** Limits the rows that a page may skip, because each skipped row costs time. */
export const withBoundedDepth = <Schema extends z.ZodType<{ page?: number | undefined; limit: number }>>(
  schema: Schema,
): Schema =>
  withRule(schema, ({ page = 1, limit }) => (page - 1) * limit <= limits.skippedRows, {
    path: ['page'],
    error: `Must not skip more than ${limits.skippedRows} items`,
  });
