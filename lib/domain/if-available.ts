import { isKnownError } from './errors.ts';

/** Reads go on without Redis, on what MySQL has: undefined when it does not answer. */
export const ifAvailable = async <Result>(work: Promise<Result>): Promise<Result | undefined> => {
  try {
    return await work;
  } catch (error) {
    if (isKnownError(error, 'unavailable')) return undefined;
    throw error;
  }
};
