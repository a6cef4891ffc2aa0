import { isKnownError, unavailable } from '#lib/domain/errors.ts';

const scriptFault = /^(ERR (?!max number of clients)|WRONGTYPE|NOSCRIPT|EXECABORT)/;

/** What aborted a transaction was said of its single commands. */
const causesOf = (error: Error): Error[] =>
  'previousErrors' in error && Array.isArray(error.previousErrors) ? error.previousErrors : [error];

/**
 * Runs calls to Redis; what the server cannot do now (no connection, time-out, loading, out of memory, read only, a
 * password or right that it does not grant) becomes 'unavailable', a fault of ours stays what it is.
 */
export const guarded = async <Result>(work: () => Promise<Result>): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    if (isKnownError(error)) throw error;
    if (
      error instanceof Error &&
      error.name === 'ReplyError' &&
      causesOf(error).some(({ message }) => scriptFault.test(message))
    ) {
      throw error;
    }
    throw unavailable('The numbering service does not answer.', error);
  }
};
