import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';

/** The shortest interval between requests of one process, however many writes find the gate closed. */
const INTERVAL_MS = 500;
/** The longest wait for the broker's confirm. */
const PUBLISH_WAIT_MS = 1_000;

/**
 * Returns a function that asks `recoverCounters` to run and does not wait for it. The gate admits one
 * request of all processes a second.
 */
export const createRecoveryRequest = ({
  gate,
  publisher,
  onUnpublished,
}: {
  gate: Pick<Gate, 'isFirstToAsk'>;
  publisher: Pick<Publisher, 'askForRecovery'>;
  onUnpublished: (queue: string, error: unknown) => void;
}) => {
  let askedAtMs = Number.NEGATIVE_INFINITY;
  const ask = async (): Promise<void> => {
    if (await gate.isFirstToAsk()) await publisher.askForRecovery(PUBLISH_WAIT_MS);
  };
  return (): void => {
    if (performance.now() - askedAtMs < INTERVAL_MS) return;
    askedAtMs = performance.now();
    ask().catch((error: unknown) => onUnpublished('recover-counters', error));
  };
};
