import type { ErrorCode } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { rateLimitClassOf } from '../http/rate-limit-class.ts';
import type { RouteContract } from '../http/route.ts';
import { statuses } from '../http/statuses.ts';
import { rateLimitHeaders } from './components.ts';

/** An operation has a method that its path accepts, so no operation answers 405. */
type DocumentedCode = Exclude<ErrorCode, 'not-allowed'>;

/** The documentation of each error: when it occurs, and an example of its detail. */
const errorAnswers: Record<DocumentedCode, { when: string; detail: string; field?: [string, string] }> = {
  'bad-input': {
    when: 'The request is invalid; `errors` names every invalid field',
    detail: 'The request does not match the contract.',
    field: ['limit', 'Must be at most 100'],
  },
  unauthenticated: {
    when: 'The credentials or the access token are missing, wrong or expired',
    detail: 'An access token is needed: Authorization: Bearer <accessToken>.',
  },
  forbidden: {
    when: 'Only the creator or the sender may do this',
    detail: 'Only the creator of the application may change it.',
  },
  'not-found': { when: 'The item or its parent does not exist', detail: 'There is no such application.' },
  conflict: {
    when: 'The e-mail address is taken, the message was deleted, or no number is left',
    detail: 'This e-mail address is taken.',
  },
  gone: {
    when: 'The position cannot be continued: begin again from a list',
    detail: 'This position cannot be continued. Begin again from a list.',
  },
  'precondition-failed': {
    when: 'The item no longer has the version of `If-Match`, or `If-None-Match: *` was sent',
    detail: 'The message has another version.',
  },
  'too-large': {
    when: `The body is longer than ${limits.requestBytes} bytes`,
    detail: `The body must not be longer than ${limits.requestBytes} bytes.`,
  },
  'not-json': {
    when: 'The body is not declared as JSON',
    detail: 'The body must be JSON: Content-Type: application/json.',
  },
  unprocessable: {
    when: 'The `Idempotency-Key` was used for another request',
    detail: 'This Idempotency-Key was used for another request.',
  },
  'too-many-requests': {
    when: 'More requests than `RateLimit-Policy` allows, or too many failed sign-ins. Try again after `Retry-After` seconds',
    detail: 'Too many requests.',
  },
  unavailable: {
    when: 'The request is valid, but a server cannot serve it now. Try again after `Retry-After` seconds',
    detail: 'The numbering service does not answer.',
  },
};

const headersOfError: Partial<Record<ErrorCode, Record<string, object>>> = {
  unauthenticated: {
    'WWW-Authenticate': {
      description: 'The authentication scheme that the route requires',
      schema: { type: 'string', examples: ['Bearer realm="chat"'] },
    },
  },
  'too-many-requests': {
    'Retry-After': { $ref: '#/components/headers/RetryAfter' },
    ...rateLimitHeaders,
  },
  unavailable: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } },
};

/** `not-found` → `NotFound` */
export const componentOf = (code: ErrorCode) =>
  code.replace(/(^|-)[a-z]/g, (at) => at.slice(-1).toUpperCase());

const problemContent = (example: object) => ({
  'application/problem+json': {
    schema: { $ref: '#/components/schemas/Problem' },
    example: { type: 'about:blank', ...example },
  },
});

export const errorResponses = () => {
  const entries = Object.entries(errorAnswers) as [DocumentedCode, (typeof errorAnswers)[DocumentedCode]][];
  return {
    ...Object.fromEntries(
      entries.map(([code, { when, detail, field }]) => {
        const { status, title } = statuses[code];
        const errors = field ? { errors: [{ path: field[0], message: field[1] }] } : {};
        const headers = headersOfError[code];
        return [
          componentOf(code),
          {
            description: `${title}. ${when}.`,
            ...(headers ? { headers } : {}),
            content: problemContent({ title, status, detail, ...errors }),
          },
        ];
      }),
    ),
    Unexpected: {
      description:
        'An unexpected error on the server. Repeat a creation safely with the same `Idempotency-Key`.',
      content: problemContent({ title: 'Internal Server Error', status: 500 }),
    },
  };
};

export const problemSchema = {
  title: 'Problem',
  description: 'An error (RFC 9457)',
  type: 'object',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', format: 'uri-reference', examples: ['about:blank'] },
    title: { type: 'string', description: 'The meaning of the status', examples: ['Bad Request'] },
    status: { type: 'integer', minimum: 400, maximum: 599, examples: [400] },
    detail: { type: 'string', examples: ['The request does not match the contract.'] },
    errors: {
      description: 'The invalid fields, each once',
      type: 'array',
      maxItems: limits.errors,
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: {
            type: 'string',
            description: 'The path of the field, separated by dots',
            maxLength: limits.errorPath,
            examples: ['limit'],
          },
          message: { type: 'string', examples: ['Must be at most 100'] },
        },
      },
    },
  },
};

/** The errors of the contract, and those that every such route may return. */
export const errorsOf = (contract: RouteContract): ErrorCode[] => {
  const codes = new Set<ErrorCode>(contract.errors);
  // Every route refuses unknown query fields.
  codes.add('bad-input');
  if (contract.creates) codes.add('unprocessable');
  if (rateLimitClassOf(contract) !== undefined) codes.add('too-many-requests');
  if (contract.authentication !== 'none') codes.add('unauthenticated');
  if (contract.request.body !== undefined) codes.add('too-large').add('not-json');
  return [...codes].sort((a, b) => statuses[a].status - statuses[b].status);
};
