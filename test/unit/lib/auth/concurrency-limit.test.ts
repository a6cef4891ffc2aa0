import { describe, expect, it } from 'vitest';
import { createConcurrencyLimit } from '#lib/auth/concurrency-limit.ts';

/** Work that runs until the test ends it. */
const createWork = () => {
  const order: number[] = [];
  const ends: (() => void)[] = [];
  return {
    order,
    work: (id: number) => () => {
      order.push(id);
      return new Promise<number>((resolve) => {
        ends.push(() => resolve(id));
      });
    },
    endNext: () => ends.shift()?.(),
  };
};
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('run as many at once as they may, and the rest in the order of arrival', async () => {
    const { work, order, endNext } = createWork();
    const limited = createConcurrencyLimit({ parallel: 2, maxWaiting: 3 });
    const results = [1, 2, 3, 4, 5].map((id) => limited(work(id)));
    await settled();
    expect(order).toEqual([1, 2]);
    for (const expected of [
      [1, 2, 3],
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5],
    ]) {
      endNext();
      await settled();
      expect(order).toEqual(expected);
    }
    endNext();
    endNext();
    expect(await Promise.all(results)).toEqual([1, 2, 3, 4, 5]);
  });

  it('refuse more than may wait with 503 and a time to come again, and take work again later', async () => {
    const { work, endNext } = createWork();
    const limited = createConcurrencyLimit({ parallel: 1, maxWaiting: 1 });
    const taken = [limited(work(1)), limited(work(2))];
    await expect(limited(work(3))).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 2 });
    endNext();
    await settled();
    const later = limited(work(4));
    endNext();
    await settled();
    endNext();
    expect(await Promise.all([...taken, later])).toEqual([1, 2, 4]);
  });

  it('continue after failed work', async () => {
    const limited = createConcurrencyLimit({ parallel: 1, maxWaiting: 1 });
    const failing = limited(() => Promise.reject(new Error('failed')));
    const next = limited(() => Promise.resolve('done'));
    await expect(failing).rejects.toThrow('failed');
    expect(await next).toBe('done');
  });
});
