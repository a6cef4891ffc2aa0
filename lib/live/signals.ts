import type { ClosingReason } from '#lib/contracts/frames/server.ts';
import { laterPushQueue, pushQueue } from '#lib/contracts/queues.ts';
import type { Signal } from '#lib/contracts/signals.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';

/** The longest that a signal may wait for the broker. It is a hint, and worth no more. */
const WAIT_MS = 1_000;
/** Connections of one signal. */
const TOGETHER = 1_000;

/** Signals for the function `pushEvents`. A lost one is found by the next ping of its client. */
export const createSignals = ({
  publisher,
  onUnpublished,
}: {
  publisher: Pick<Publisher, 'publishSignal'>;
  onUnpublished: (queue: string, error: unknown) => void;
}) => {
  /** Never rejects. */
  const publish = async (queue: string, signal: Signal): Promise<void> => {
    try {
      await publisher.publishSignal(queue, signal, WAIT_MS);
    } catch (error) {
      onUnpublished(queue, error);
    }
  };
  return {
    /** Has connections closed. Never rejects. */
    close: async (ids: readonly string[], reason: ClosingReason): Promise<void> => {
      const parts: string[][] = [];
      for (let from = 0; from < ids.length; from += TOGETHER) parts.push(ids.slice(from, from + TOGETHER));
      await Promise.all(parts.map((close) => publish(pushQueue, { close, reason })));
    },
    /** Has a connection closed that has not authenticated in time. Never rejects. */
    checkLater: (id: string): Promise<void> => publish(laterPushQueue, { check: id }),
  };
};

export type Signals = ReturnType<typeof createSignals>;
