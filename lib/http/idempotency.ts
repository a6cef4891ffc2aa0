import { createHash } from 'node:crypto';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { type HttpEvent, type HttpMiddleware, headerOf } from './middleware.ts';

const visibleAscii = /^[\x21-\x7e]+$/;

const keyOf = (event: HttpEvent): string | undefined => {
  const key = headerOf(event, 'idempotency-key');
  if (key === undefined || (key.length <= limits.idempotencyKey && visibleAscii.test(key))) return key;
  throw badInput([
    { path: 'Idempotency-Key', message: `Must be 1 to ${limits.idempotencyKey} visible ASCII characters` },
  ]);
};

/**
 * A hash of the route and its validated fields, which detects another request with the same key. The contract
 * defines the order of the fields, so the client's order makes no difference.
 */
const fingerprintOf = ({ contract: { method, path }, input }: HttpEvent): string =>
  createHash('sha256')
    .update(JSON.stringify([method, path, input]))
    .digest('base64url');

/**
 * Sets `event.idempotency` from `Idempotency-Key`, on routes that create something. Must run after
 * `validate`.
 */
export const idempotency: HttpMiddleware = {
  before: ({ event }) => {
    const key = event.contract.creates ? keyOf(event) : undefined;
    if (key !== undefined) event.idempotency = { key, fingerprint: fingerprintOf(event) };
  },
};
