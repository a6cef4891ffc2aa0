import { withoutData } from '#lib/domain/error-facts.ts';
import { isKnownError, unavailable } from '#lib/domain/errors.ts';
import type { Connection, RedisClient } from './client.ts';
import { isRefusal } from './node.ts';
import { RedisConfigurationError } from './primary.ts';

const scriptFault = /^(ERR (?!max number of clients)|WRONGTYPE|NOSCRIPT|EXECABORT)/;

/** The replies to the single commands tell why a transaction was aborted. */
const causesOf = (error: Error): Error[] =>
  'previousErrors' in error && Array.isArray(error.previousErrors) ? error.previousErrors : [error];

/** The socket ended during the command, or the server refused writes as a replica. */
const isEnded = ({ isOpen }: Connection, error: unknown): boolean =>
  !isOpen && (isRefusal(error) || !(error instanceof Error && error.name === 'ReplyError'));

type Work<Result> = (connection: Connection) => Promise<Result>;
type Connecting = Pick<RedisClient, 'connection'>;

/**
 * The second try is sent within this time, because a generated idempotency key expires 12 s after the first. It is time
 * of the clock: an execution environment may be frozen between the two.
 */
const RETRY_WITHIN_MS = 6_000;

/** @returns the error for the caller: 'unavailable' unless the program or its configuration is wrong */
const toKnown = (error: unknown): unknown => {
  if (isKnownError(error) || error instanceof RedisConfigurationError) return error;
  const isProgrammingError =
    error instanceof Error &&
    error.name === 'ReplyError' &&
    causesOf(error).some(({ message }) => scriptFault.test(message));
  const safe = withoutData(error);
  return isProgrammingError ? safe : unavailable('The numbering service does not answer.', safe);
};

/**
 * Runs calls to Redis, and once more on a new connection if the first one ends during them within 6 s. `work` may
 * therefore take effect twice, unless `tries` is 1. Throws 'unavailable' if the server cannot work now (no
 * connection, time-out, loading, out of memory, read only, a refused password or permission). Programming
 * errors are thrown without the command's arguments.
 */
export const guarded = async <Result>(
  client: Connecting,
  work: Work<Result>,
  { tries = 2 }: { tries?: number } = {},
): Promise<Result> => {
  const untilMs = Date.now() + RETRY_WITHIN_MS;
  let ended: { error: unknown } | undefined;
  for (let left = tries; ; left -= 1) {
    let connection: Connection | undefined;
    try {
      connection = await client.connection();
      if (ended !== undefined && Date.now() >= untilMs) throw ended.error;
      return await work(connection);
    } catch (error) {
      const mayTryAgain = left > 1 && connection !== undefined && isEnded(connection, error);
      if (!mayTryAgain) throw toKnown(error);
      ended = { error };
    }
  }
};
