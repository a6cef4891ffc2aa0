import type { Delivery } from './batch-source.ts';
import type { Log } from './broker.ts';

/** The most messages that a report describes. */
const MOST_DESCRIBED = 3;

type FailureReport = {
  /** Counts a failure of the batch at the head of the queue. */
  add(batch: readonly Delivery[], failure: string): void;
  /** The batch succeeded. */
  end(): void;
};

/**
 * Reports a batch that keeps failing, once: Lambda tries it until it succeeds, and nothing behind it is delivered.
 *
 * @param afterFailures the number of failures in a row; 0 for no report
 */
export const createFailureReport = (name: string, afterFailures: number, log: Log): FailureReport => {
  let failures = 0;
  let since = new Date();
  const isReported = () => afterFailures > 0 && failures >= afterFailures;

  return {
    add: (batch, failure) => {
      if (failures === 0) since = new Date();
      failures += 1;
      if (failures !== afterFailures) return;
      log.error(
        `${name}: batches failed ${failures} times in a row since ${since.toLocaleTimeString('en-GB')}; last ` +
          `(${failure}). No later message is delivered meanwhile. ${describe(batch)} Correct the function, or give the ` +
          'queue an x-delivery-limit and a dead-letter exchange.',
      );
    },
    end: () => {
      if (isReported()) log.notice(`${name}: a batch succeeded after ${failures} failures.`);
      failures = 0;
    },
  };
};

/** Never a body, which may be secret. */
const describe = (batch: readonly Delivery[]): string => {
  const described = batch.slice(0, MOST_DESCRIBED).map(({ basicProperties }) => {
    const { messageId, correlationId, type, bodySize } = basicProperties;
    const names = Object.entries({ messageId, correlationId, type }).flatMap(([key, value]) =>
      value === null ? [] : [`${key} ${value}`],
    );
    return [...names, `${bodySize} bytes`].join(', ');
  });
  const more = batch.length - described.length;
  return `Messages: ${described.join('; ')}${more > 0 ? `; and ${more} more` : ''}.`;
};
