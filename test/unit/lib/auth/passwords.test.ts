import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPasswords, parallelHashes } from '#lib/auth/passwords.ts';

const MIB = 1024 * 1024;
const passwords = createPasswords({ memoryBytes: 512 * MIB, processors: 2 });

describe('a password', { timeout: 30_000 }, () => {
  it('is kept as a salted hash with its strength, and verified in any Unicode form', async () => {
    const hash = await passwords.hash('pa\u0301ssword 🦉');
    expect(hash).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await passwords.verify('p\u00e1ssword 🦉', hash)).toBe(true);
    expect(await passwords.verify('password 🦉', hash)).toBe(false);
    expect(await passwords.hash('pa\u0301ssword 🦉')).not.toBe(hash);
  });

  it('is wrong for an unknown user, and for a hash that is none', async () => {
    expect(await passwords.verify('', undefined)).toBe(false);
    expect(await passwords.verify('x', 'nobody signs in with this')).toBe(false);
  });
});

describe('the number of hashes at once', () => {
  it.each([
    [128, 2, 1],
    [512, 2, 2],
    [512, 1, 1],
    [1024, 2, 2],
    [1024, 6, 3],
    [24_000, 2, 2],
    [24_000, 16, 3],
  ])('with %i MiB and %i processors is %i', (mebibytes, processors, expected) => {
    expect(parallelHashes({ memoryBytes: mebibytes * MIB, processors })).toBe(expected);
  });

  it('never needs more than half of the memory, from 256 MiB on', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 256, max: 10_240 }),
        fc.integer({ min: 1, max: 64 }),
        (mib, processors) => {
          const needed = parallelHashes({ memoryBytes: mib * MIB, processors }) * 128;
          expect(needed).toBeLessThanOrEqual(mib / 2);
        },
      ),
    );
  });
});
