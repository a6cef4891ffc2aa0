import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
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

/** The contract defines the order of the fields, so the client's order makes no difference. */
const textOf = ({ contract: { method, path }, input }: HttpEvent): string =>
  JSON.stringify([method, path, input]);

/**
 * Sets `event.idempotency` from `Idempotency-Key`, on routes that create something. Must run after `validate`.
 * The fingerprint has one keyed hash of the route and its validated fields for each secret in use, separated by commas.
 */
export const idempotency = (hash: () => Pick<KeyedHash, 'ofEach'>): HttpMiddleware => ({
  before: ({ event }) => {
    const key = event.contract.creates ? keyOf(event) : undefined;
    if (key !== undefined) event.idempotency = { key, fingerprint: hash().ofEach(textOf(event)).join() };
  },
});
