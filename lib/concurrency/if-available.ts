import { isKnownError } from '#lib/domain/errors.ts';

/** @returns undefined when Redis does not answer, so that reads continue from MySQL */
export const ifAvailable = async <Result>(work: Promise<Result>): Promise<Result | undefined> => {
  try {
    return await work;
  } catch (error) {
    if (isKnownError(error, 'unavailable')) return undefined;
    throw error;
  }
};
