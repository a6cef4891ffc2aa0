import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Accepted, Acceptor } from '#lib/redis/acceptor.ts';

/**
 * How long a request waits for the broker's confirm. What is not confirmed by then is accepted all the same: it lies in
 * the outbox, from where `relayOutbox` publishes it.
 */
const PUBLISH_WAIT_MS = 1_000;

/** Accepts writes: a number and a place in the outbox first, then on to RabbitMQ. Throws what the acceptor throws. */
export const createAcceptance = ({
  acceptor,
  publisher,
  onUnpublished,
}: {
  acceptor: Acceptor;
  publisher: Publisher;
  onUnpublished: (queue: string, error: unknown) => void;
}) => {
  const handOn = async <Result>(queue: string, { result, command }: Accepted<Result>): Promise<Result> => {
    if (command === undefined) return result;
    // The accepting script put the id at the end.
    const messageId = /"commandId":(\d+)\}$/.exec(command)?.[1];
    try {
      await publisher.publish(
        [{ queue, content: command, ...(messageId === undefined ? {} : { messageId }) }],
        PUBLISH_WAIT_MS,
      );
    } catch (error) {
      onUnpublished(queue, error);
    }
    return result;
  };

  return {
    application: async (...args: Parameters<Acceptor['application']>): Promise<string> =>
      handOn('create-application', await acceptor.application(...args)),
    chat: async (...args: Parameters<Acceptor['chat']>): Promise<number> =>
      handOn('create-chat', await acceptor.chat(...args)),
    message: async (...args: Parameters<Acceptor['message']>): Promise<number> =>
      handOn('create-message', await acceptor.message(...args)),
    /** @returns false when Redis does not know the creator */
    applicationUpdate: async (...args: Parameters<Acceptor['applicationUpdate']>): Promise<boolean> => {
      const accepted = await acceptor.applicationUpdate(...args);
      if (accepted) await handOn('update-application', accepted);
      return accepted !== undefined;
    },
    /** @returns false when Redis does not know the sender */
    messageUpdate: async (...args: Parameters<Acceptor['messageUpdate']>): Promise<boolean> => {
      const accepted = await acceptor.messageUpdate(...args);
      if (accepted) await handOn('update-message', accepted);
      return accepted !== undefined;
    },
  };
};

export type Acceptance = ReturnType<typeof createAcceptance>;
