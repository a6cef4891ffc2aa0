import type { ChannelModel } from 'amqplib';
import { callOnce } from './channel.ts';
import type { AutoCreate } from './section.ts';

/**
 * Prepares a queue to be consumed.
 *
 * @param autoCreate declares a missing queue; undefined to leave it missing
 * @returns the number of its consumers, those of other programs included
 * @throws StreamRefused, or Error of amqplib if the queue does not exist
 */
export const prepareQueue = async (
  connection: ChannelModel,
  queue: string,
  autoCreate: AutoCreate | undefined,
): Promise<{ consumers: number; isNew: boolean }> => {
  let consumers = 0;
  let isNew = false;
  try {
    consumers = (await callOnce(connection, (channel) => channel.checkQueue(queue))).consumerCount;
  } catch (error) {
    if (autoCreate === undefined || !isNotFound(error)) throw error;
    await callOnce(connection, (channel) => channel.assertQueue(queue, { durable: true, ...autoCreate }));
    isNew = true;
  }
  if (await isStream(connection, queue)) throw new StreamRefused();
  return { consumers, isNew };
};

/** A stream keeps its messages after their acknowledgement, and a new consumer starts at its end. */
export class StreamRefused extends Error {
  override message =
    'it is a stream: messages from before the start would be missed, and none would leave it; ' +
    'declare a classic or quorum queue';
}

const NOT_FOUND = 404;
const isNotFound = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === NOT_FOUND;

/**
 * AMQP does not tell the type of a queue, but RabbitMQ compares the arguments of a second declaration. A new stream
 * cannot have a priority, so this declaration succeeds only for an existing stream.
 */
const isStream = (connection: ChannelModel, queue: string): Promise<boolean> =>
  callOnce(connection, (channel) =>
    channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'stream', 'x-max-priority': 1 },
    }),
  ).then(
    () => true,
    () => false,
  );
