import { setImmediate as otherWork } from 'node:timers/promises';

/** The longest time for which a slice keeps the process from other work, unless one item takes longer. */
const sliceMs = 4;

let lastInLine: Promise<void> = Promise.resolve();

/** Resolves when it is the caller's turn. The process does other work between any two turns. */
const nextTurn = (): Promise<void> => {
  lastInLine = lastInLine.then(() => otherWork());
  return lastInLine;
};

/**
 * Maps items one after the other, in slices of a few milliseconds. Calls at the same time take turns, so that many long
 * calls delay other work no more than one, and a short call does not wait for the end of a long one.
 */
export const mapInSlices = async <Item, Result>(
  items: readonly Item[],
  map: (item: Item) => Result,
): Promise<Result[]> => {
  const results: Result[] = [];
  let sliceEnd = 0;
  for (const item of items) {
    if (performance.now() >= sliceEnd) {
      await nextTurn();
      sliceEnd = performance.now() + sliceMs;
    }
    results.push(map(item));
  }
  return results;
};
