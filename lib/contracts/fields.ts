import * as z from 'zod';
import { emailPattern, parseEmailAddress } from '#lib/domain/email-address.ts';
import { limits } from '#lib/domain/limits.ts';

/** A lone surrogate has no UTF-8 form: it could not come back as it was sent. */
const wellFormed = (text: string) => text.isWellFormed();
const text = (maximum: number) =>
  z
    .string()
    .min(1)
    .max(maximum)
    .refine(wellFormed, { error: 'Must be well-formed Unicode (no lone surrogate)' });
const visible = (maximum: number) =>
  text(maximum).refine((value) => value.trim() !== '', { error: 'Must not be blank' });

/** What the documentation shows: one small conversation throughout. */
export const examples = {
  token: 'Zk3vQ9xLr2Tn8bWc1yHd4gPa',
  user: 'Ada Lovelace',
  email: 'ada@example.org',
  title: 'Where is my order?',
  body: 'Hello, and welcome 👋',
  createdAt: '2026-03-01T09:30:00.000Z',
  editedAt: '2026-03-01T09:31:12.480Z',
} as const;

/**
 * A whole number written in a path or a query: no sign, no leading zero, no fraction. Documented as the integer it is.
 * @param initial where it may be left out: what it then is
 */
const digits = (maximum: number, initial?: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,14}$/, { error: 'Must be a whole number, 1 or more' })
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
export const name = visible(limits.name);
export const title = visible(limits.title).meta({ examples: [examples.title] });
export const body = text(limits.body).meta({
  description: 'Kept exactly as it is sent',
  examples: [examples.body],
});
export const email = z
  .string()
  .max(limits.email)
  .meta({ format: 'email', pattern: emailPattern.source, examples: [examples.email] })
  .transform((text, context) => {
    const address = parseEmailAddress(text);
    if (address !== undefined) return address;
    context.addIssue({ code: 'custom', message: 'Must be an e-mail address' });
    return z.NEVER;
  });
/** OWASP Authentication Cheat Sheet: a minimum length, a generous maximum, any character. */
export const password = z
  .string()
  .min(limits.passwordMinimum)
  .max(limits.password)
  .refine(wellFormed, { error: 'Must be well-formed Unicode (no lone surrogate)' })
  .meta({ format: 'password', examples: ['correct horse battery staple'] });
/** ISO 8601 with an offset, to the millisecond. */
export const instant = z.iso
  .datetime({ offset: true, error: 'Must be an ISO 8601 date and time with an offset' })
  .refine((value) => !Number.isNaN(Date.parse(value)), { error: 'Is not a date' });
export const searchText = text(limits.query)
  .refine((value) => value.trim() !== '', { error: 'Must not be blank' })
  .meta({ description: 'Words to find; "quoted words" are found as a phrase', examples: ['hello'] });

/** For lists that can be read on by a cursor instead. */
export const optionalPage = digits(Number.MAX_SAFE_INTEGER)
  .optional()
  .describe('1 is the first page, which is also what is answered without it');

export const paging = {
  page: digits(Number.MAX_SAFE_INTEGER, 1).default(1).describe('1 is the first page'),
  limit: digits(limits.pageSize, 10).default(10).describe(`Items a page, 1 to ${limits.pageSize}`),
};

/** Refuses a page so deep that reaching it would cost more than it is worth. */
export const boundedDepth = ({ page, limit }: { page: number; limit: number }) =>
  (page - 1) * limit <= limits.skippedRows;
export const tooDeep = {
  path: ['page'],
  error: `Must not skip more than ${limits.skippedRows} items`,
};
