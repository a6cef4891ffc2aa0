import { describe, expect, it } from 'vitest';
import { gather } from '#lib/concurrency/gather.ts';

const recording = (size: number) => {
  const calls: number[][] = [];
  const double = gather(
    async (items: readonly number[]) => {
      calls.push([...items]);
      return items.map((item) => item * 2);
    },
    { size },
  );
  return { calls, double };
};

describe('gather', () => {
  it('makes one call for the items of one turn, and gives each its own result', async () => {
    const { calls, double } = recording(10);
    expect(await Promise.all([1, 2, 3].map(double))).toEqual([2, 4, 6]);
    expect(await double(4)).toBe(8);
    expect(calls).toEqual([[1, 2, 3], [4]]);
  });

  it('splits more items into calls of at most the given size', async () => {
    const { calls, double } = recording(2);
    expect(await Promise.all([1, 2, 3, 4, 5].map(double))).toEqual([2, 4, 6, 8, 10]);
    expect(calls).toEqual([[1, 2], [3, 4], [5]]);
  });

  it('fails the items of a failed call, and no others', async () => {
    const work = gather(
      async (items: readonly number[]) => {
        if (items.includes(2)) throw new Error('no');
        return items;
      },
      { size: 2 },
    );
    const outcomes = await Promise.allSettled([1, 2, 3].map(work));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });

  it('lets a call answer some items later, or with an error of their own', async () => {
    const work = gather(
      async (items: readonly number[]) =>
        items.map((item) => (item === 2 ? Promise.reject(new Error('two')) : Promise.resolve(item))),
      { size: 10 },
    );
    const outcomes = await Promise.allSettled([1, 2, 3].map(work));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('fails an item without a result', async () => {
    const work = gather(async (_items: readonly number[]): Promise<number[]> => [1], { size: 10 });
    const outcomes = await Promise.allSettled([1, 2].map(work));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
});
