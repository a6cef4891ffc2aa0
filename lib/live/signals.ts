import type { ClosingReason } from '#lib/contracts/frames/server.ts';
import { laterPushQueue, pushQueue } from '#lib/contracts/queues.ts';
import type { WrittenSignal } from '#lib/contracts/signals.ts';
import type { NumberedChange } from '#lib/domain/change.ts';
import type { ChatReference } from '#lib/domain/reference.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';

/** The longest that a signal may wait for the broker. It is a hint, and worth no more. */
const WAIT_MS = 1_000;
/** Connections of one signal. */
const TOGETHER = 1_000;

/** The change alone: what settles it stays here. */
const toSignal = ({ type, token, chatNumber, messageNumber, changeNumber, before }: NumberedChange) => ({
  type,
  token,
  chatNumber,
  messageNumber,
  changeNumber,
  before,
});
const isWatched = ({ before: { application, chat } }: NumberedChange): boolean =>
  application !== undefined || chat !== undefined;

/** Signals for the function `pushEvents`. A lost one is found by the next ping of its client. */
export const createSignals = ({
  publisher,
  onUnpublished,
}: {
  publisher: Pick<Publisher, 'publishSignal'>;
  onUnpublished: (queue: string, error: unknown) => void;
}) => {
  /** Never rejects. */
  const publish = async (queue: string, signal: WrittenSignal): Promise<void> => {
    try {
      await publisher.publishSignal(queue, signal, WAIT_MS);
    } catch (error) {
      onUnpublished(queue, error);
    }
  };
  return {
    /** Announces changes that somebody watches. Never rejects. */
    announce: async (changes: readonly NumberedChange[]): Promise<void> => {
      await Promise.all(
        changes.filter(isWatched).map((change) => publish(pushQueue, { change: toSignal(change) })),
      );
    },
    /** Tells the other connections of a reader. Never rejects. */
    read: (reader: { id: number }, chat: ChatReference, messageNumber: number): Promise<void> => {
      const { token, chatNumber } = chat;
      return publish(pushQueue, { read: { userId: reader.id, token, chatNumber, messageNumber } });
    },
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
