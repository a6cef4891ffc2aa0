import { isKnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';

/**
 * Runs `work` on all items at once. When that fails on anything but the state of a server, runs it on each half, and so
 * on, until the items that fail are alone: some twenty tries for one item of a thousand.
 * @param alone handles an item on which `work` fails by itself
 * @throws what `work` throws of a server that cannot do its work
 */
export const isolatePoison = async <Item, Result>(
  items: readonly Item[],
  work: (items: readonly Item[]) => Promise<Result>,
  alone: (item: Item, error: unknown) => Promise<Result>,
): Promise<Result[]> => {
  const [first] = items;
  if (first === undefined) return [];
  try {
    return [await work(items)];
  } catch (error) {
    if (isKnownError(error, 'unavailable')) throw error;
    if (items.length === 1) return [await alone(first, error)];
    logger.warn('A batch failed; its halves are tried', {
      code: 'batch-halved',
      error,
      count: items.length,
    });
    const middle = Math.ceil(items.length / 2);
    return [
      ...(await isolatePoison(items.slice(0, middle), work, alone)),
      ...(await isolatePoison(items.slice(middle), work, alone)),
    ];
  }
};
