import { isKnownError } from '#lib/domain/errors.ts';

const PAUSE_MS = 2_000;

/**
 * Runs `work` again while a server that it needs is out of reach: for operations that take long and must not end with
 * the first hiccup.
 * @throws what `work` throws, once less than `reserveMs` remain
 */
export const patiently = async <Result>(
  work: () => Promise<Result>,
  { remainingMs, reserveMs = 20_000 }: { remainingMs: () => number; reserveMs?: number },
): Promise<Result> => {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isKnownError(error, 'unavailable') || remainingMs() < reserveMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
};
