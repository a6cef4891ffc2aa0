import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBoundedMap } from '#lib/concurrency/bounded-map.ts';

it('a bounded map returns the value that was set, or none', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.nat(), fc.boolean())), (steps) => {
      const map = createBoundedMap<number, number>(10);
      const all = new Map<number, number>();
      for (const [key, value, isSet] of steps) {
        if (isSet) {
          map.set(key, value);
          all.set(key, value);
        }
        const found = map.get(key);
        if (isSet) expect(found).toBe(value);
        else if (found !== undefined) expect(found).toBe(all.get(key));
      }
    }),
  );
});

it('a bounded map keeps used entries, and drops unused ones', () => {
  const map = createBoundedMap<number, string>(10);
  map.set(-1, 'used');
  map.set(-2, 'unused');
  for (let i = 0; i < 100; i += 1) {
    map.set(i, 'filler');
    expect(map.get(-1)).toBe('used');
  }
  expect(map.get(-2)).toBeUndefined();
  const left = Array.from({ length: 100 }, (_, i) => i).filter((i) => map.get(i) !== undefined);
  expect(left.length).toBeLessThanOrEqual(10);
});
