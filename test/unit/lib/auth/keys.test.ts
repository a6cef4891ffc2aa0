import { describe, expect, it } from 'vitest';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { deriveKey, type KeyLabel } from '#lib/auth/keys.ts';

const labels: KeyLabel[] = [
  'access-token',
  'access-token-id',
  'cursor',
  'sign-up-fingerprint',
  'address-hash',
];

describe('a derived key', () => {
  it('is another one for each purpose and each secret, and the same each time', () => {
    const keys = ['a', 'b'].flatMap((secret) =>
      labels.map((label) => deriveKey(secret.repeat(32), label).toString('hex')),
    );
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toHaveLength(64);
    expect(deriveKey('a'.repeat(32), 'cursor').toString('hex')).toBe(keys[2]);
  });
});

describe('a keyed hash', () => {
  const [old, current] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

  it('matches its text alone, and outlives a rotation', () => {
    const before = createKeyedHash([old]).of('text');
    expect(before).toMatch(/^[\w-]{43}$/);
    const rotated = createKeyedHash([current, old]);
    expect(rotated.matches('text', before)).toBe(true);
    expect(rotated.matches('Text', before)).toBe(false);
    expect(rotated.of('text')).not.toBe(before);
    expect(createKeyedHash([current]).matches('text', before)).toBe(false);
  });

  it.each(['', 'short', 'x'.repeat(43), 'x'.repeat(86)])('matches nothing else: %s', (hash) => {
    expect(createKeyedHash([current]).matches('text', hash)).toBe(false);
  });
});
