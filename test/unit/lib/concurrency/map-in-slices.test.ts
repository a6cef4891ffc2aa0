import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { mapInSlices } from '#lib/concurrency/map-in-slices.ts';

/** Keeps the process busy for a millisecond. */
const work = <Item>(item: Item): Item => {
  const end = performance.now() + 1;
  while (performance.now() < end);
  return item;
};
const items = Array.from({ length: 60 }, (_, at) => at);

test('gives the results in order, also of calls at once', async () => {
  const results = await Promise.all([
    mapInSlices(items, work),
    mapInSlices(items, work),
    mapInSlices([], work),
  ]);
  expect(results).toEqual([items, items, []]);
});

test('lets other work run between slices, however many calls there are', async () => {
  let done = 0;
  const count = (item: number) => {
    done += 1;
    return work(item);
  };
  const calls = Promise.all(Array.from({ length: 6 }, () => mapInSlices(items, count)));
  const between: number[] = [];
  while (done < 6 * items.length) {
    const before = done;
    await nextTurn();
    between.push(done - before);
  }
  await calls;
  // A slice of four milliseconds has four or five items of one; two of them in one turn would have eight.
  expect(Math.max(...between)).toBeLessThanOrEqual(6);
});

test('does not keep a short call waiting for a long one', async () => {
  const ended: string[] = [];
  await Promise.all([
    mapInSlices([...items, ...items], work).then(() => ended.push('long')),
    mapInSlices([1], work).then(() => ended.push('short')),
  ]);
  expect(ended).toEqual(['short', 'long']);
});

test('fails with the error of an item, and later calls work', async () => {
  const failing = mapInSlices([1], () => {
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await mapInSlices([1], work)).toEqual([1]);
});
