import { unavailable } from '#lib/domain/errors.ts';

/** Runs work when it is its turn. @throws unavailable when too much work waits already */
export type ConcurrencyLimit = <Result>(work: () => Promise<Result>) => Promise<Result>;

const RETRY_AFTER_SECONDS = 2;

/**
 * Limits the work that runs at the same time in this process.
 * @param parallel the most pieces of work at once
 * @param maxWaiting the most that wait for their turn, in the order of their arrival
 */
export const createConcurrencyLimit = ({
  parallel,
  maxWaiting,
}: {
  parallel: number;
  maxWaiting: number;
}): ConcurrencyLimit => {
  let running = 0;
  const waiting: (() => void)[] = [];
  const begin = (): Promise<void> | undefined => {
    if (running < parallel) {
      running += 1;
      return undefined;
    }
    if (waiting.length >= maxWaiting) {
      throw unavailable('Too many sign-ups and sign-ins at once.', undefined, RETRY_AFTER_SECONDS);
    }
    return new Promise((resolve) => waiting.push(resolve));
  };
  const end = () => {
    // The place passes directly to the next in line, so that a newcomer cannot take it.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  return async (work) => {
    await begin();
    try {
      return await work();
    } finally {
      end();
    }
  };
};
