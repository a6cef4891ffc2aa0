import type { RabbitMqMessage } from './rabbitmq-event.ts';

/** A message as the broker delivered it. */
export type Delivery = {
  /** The bytes that were published. A retry and a dead letter carry the same bytes. */
  content: Buffer;
  /** Undefined if the publisher set no id, or an id that AMQP clients cannot publish again unchanged. */
  messageId: string | undefined;
  /** How often the command was deferred: a whole number from 0 to the allowed maximum. */
  attempts: number;
  /** How often an operator redrove the command. */
  redriven: number;
  /**
   * True for a message from the program that numbered the command: no retry, relay or redrive published it.
   */
  isFirst: boolean;
};

/** The length of an AMQP short string, which message ids are. */
const MAX_ID_BYTES = 255;
/** Decoders replace bytes that are not UTF-8 with this character. */
const REPLACEMENT = '\ufffd';
const MAX_REDRIVES = 1_000_000;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const nothing: Record<string, unknown> = {};
const fieldsOf = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : nothing);

const toMessageId = (value: unknown): string | undefined =>
  typeof value === 'string' &&
  value !== '' &&
  Buffer.byteLength(value) <= MAX_ID_BYTES &&
  !value.includes(REPLACEMENT)
    ? value
    : undefined;

const toCount = (value: unknown, maximum: number): number =>
  typeof value === 'number' && !Number.isNaN(value) ? Math.min(Math.max(Math.trunc(value), 0), maximum) : 0;

const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

/** @param maxAttempts a header with a higher number of attempts counts as this number */
export const toDelivery = ({ basicProperties, data }: RabbitMqMessage, maxAttempts: number): Delivery => {
  const { headers: rawHeaders, messageId } = fieldsOf(basicProperties);
  const { attempts, redriven, relayed } = fieldsOf(rawHeaders);
  return {
    content: Buffer.from(data, 'base64'),
    messageId: toMessageId(messageId),
    attempts: toCount(attempts, maxAttempts),
    redriven: toCount(redriven, MAX_REDRIVES),
    isFirst: !(isPresent(attempts) || isPresent(redriven) || isPresent(relayed)),
  };
};
