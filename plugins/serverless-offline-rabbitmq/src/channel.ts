import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';

/** Calls on a channel that may end at any moment. If the connection ends first, amqplib never settles a call. */
export const createChannelState = (channel: Channel, onLost: () => void) => {
  let isOpen = true;
  let isExpected = false;
  const lost = new Promise<void>((resolve) => {
    channel.once('close', () => {
      isOpen = false;
      resolve();
      if (!isExpected) onLost();
    });
  });
  // A channel's error also rejects the call that caused it, or is followed by 'close'.
  channel.on('error', () => undefined);
  const unlessLost = async <Result>(call: () => Promise<Result>): Promise<Result | undefined> => {
    if (!isOpen) return undefined;
    return Promise.race([lost.then(() => undefined), call()]).catch(() => undefined);
  };
  const orReject = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    // One turn later: the call that closed the channel rejects with the broker's reason.
    const afterLoss = lost
      .then(() => nextTurn())
      .then(() => Promise.reject<Result>(new Error('channel closed')));
    return Promise.race([call(), afterLoss]);
  };
  return {
    isOpen: () => isOpen,
    /** Undefined if the call failed or the channel was lost. */
    unlessLost,
    orReject,
    /** A call that opens the channel. Its failure closes the channel, but does not count as a loss. */
    opening: async (call: () => Promise<void>) => {
      isExpected = true;
      await orReject(call);
      isExpected = false;
    },
    close: async () => {
      isExpected = true;
      await unlessLost(() => channel.close());
    },
  };
};

/**
 * Makes one call on a channel of its own, since a refused call closes its channel.
 *
 * @throws Error of amqplib if the call is refused or the connection is lost
 */
export const callOnce = async <Result>(
  connection: ChannelModel,
  call: (channel: Channel) => Promise<Result>,
): Promise<Result> => {
  const channel = await connection.createChannel();
  const state = createChannelState(channel, () => undefined);
  const result = await state.orReject(() => call(channel));
  await state.close();
  return result;
};
