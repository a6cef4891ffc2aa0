import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * HMAC-SHA-256 in base64url: 43 characters. Without the key nobody can link them to their text.
 * @param keys the first one hashes; older ones, from before a rotation, still match their hashes
 */
export const createKeyedHash = (keys: readonly [Buffer, ...Buffer[]]) => {
  const digest = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  return {
    of: (text: string): string => digest(keys[0], text).toString('base64url'),
    /** One hash for each key, the current one first. */
    ofEach: (text: string): string[] => keys.map((key) => digest(key, text).toString('base64url')),
    matches: (text: string, hash: string): boolean => {
      const given = Buffer.from(hash, 'base64url');
      return keys.some((key) => {
        const expected = digest(key, text);
        return expected.length === given.length && timingSafeEqual(expected, given);
      });
    },
  };
};

export type KeyedHash = ReturnType<typeof createKeyedHash>;
