import { isKnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';

/**
 * Runs `work` on all items at once. If an item makes it fail, runs it on each half, and so on, until each
 * failing item is alone. One failing item of a thousand takes about twenty calls.
 * @param alone handles an item on which `work` fails by itself
 * @throws unavailable, as `work` does
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
