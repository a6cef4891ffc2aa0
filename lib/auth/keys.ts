import { hkdfSync } from 'node:crypto';

/** One label a purpose. A changed label changes the key: issued tokens and cursors stop working. */
export type KeyLabel =
  | 'access-token'
  | 'access-token-id'
  | 'cursor'
  | 'sign-up-fingerprint'
  | 'request-fingerprint'
  | 'address-hash';

const KEY_BYTES = 32;

/**
 * Derives a separate key for each purpose (HKDF-SHA-256, RFC 5869), so that a leaked key reveals nothing about the others.
 * @param secret one secret of `JWT_SECRET`
 */
export const deriveKey = (secret: string, label: KeyLabel): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `chat-functions/${label}`, KEY_BYTES));
