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
 * Tells apart requests that carry the same key: a hash of the route and its validated fields. The order of the fields
 * is the contract's, so that the order in which a client wrote them does not count.
 */
const fingerprintOf = ({ contract: { method, path }, input }: HttpEvent): string =>
  createHash('sha256')
    .update(JSON.stringify([method, path, input]))
    .digest('base64url');

/** Reads `Idempotency-Key` on routes that create something: `event.idempotency`. Goes after `validate`. */
export const idempotency: HttpMiddleware = {
  before: ({ event }) => {
    const key = event.contract.creates ? keyOf(event) : undefined;
    if (key !== undefined) event.idempotency = { key, fingerprint: fingerprintOf(event) };
  },
};
