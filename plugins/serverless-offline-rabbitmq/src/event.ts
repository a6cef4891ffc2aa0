/**
 * The event that an Amazon MQ event source passes to a Lambda function for RabbitMQ.
 *
 * The shape is that of AWS's sample (https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html). AWS's poller is a Java
 * program that converts the objects of the RabbitMQ Java client to JSON with Gson. So a long string in a header is an
 * object with signed `bytes`, a date is English text in UTC, and an absent value is null.
 */
import type { Message } from 'amqplib';
import type { BasicProperties, HeaderValue, RabbitmqEvent, RabbitmqRecord } from './event-types.ts';

/** The origin of a batch. */
interface EventOrigin {
  eventSourceArn: string;
  queue: string;
  virtualHost: string;
}

/** The event for one batch. */
export const buildEvent = (origin: EventOrigin, records: RabbitmqRecord[]): RabbitmqEvent => ({
  eventSource: 'aws:rmq',
  eventSourceArn: origin.eventSourceArn,
  rmqMessagesByQueue: { [`${origin.queue}::${origin.virtualHost}`]: records },
});

/** The properties of a message that amqplib delivered, in the form of the event. */
export const basicPropertiesOf = ({ content, properties }: Message): BasicProperties => ({
  contentType: stringOrNull(properties.contentType),
  contentEncoding: stringOrNull(properties.contentEncoding),
  headers: properties.headers === undefined ? null : tableOf(properties.headers),
  deliveryMode: numberOrNull(properties.deliveryMode),
  priority: numberOrNull(properties.priority),
  correlationId: stringOrNull(properties.correlationId),
  replyTo: stringOrNull(properties.replyTo),
  expiration: stringOrNull(properties.expiration),
  messageId: stringOrNull(properties.messageId),
  timestamp: typeof properties.timestamp === 'number' ? formatTimestamp(properties.timestamp) : null,
  type: stringOrNull(properties.type),
  userId: stringOrNull(properties.userId),
  appId: stringOrNull(properties.appId),
  clusterId: stringOrNull(properties.clusterId),
  bodySize: content.length,
});

/** One record of the event. It encodes the body, which takes a third more memory than the message. */
export const buildRecord = (
  { content, fields }: Message,
  basicProperties: BasicProperties,
): RabbitmqRecord => ({
  basicProperties,
  redelivered: fields.redelivered,
  data: content.toString('base64'),
});

/** The bytes of a record in the payload, with its comma. The long body is ASCII, so it is only counted. */
export const recordBytesOf = ({ content, fields }: Message, basicProperties: BasicProperties): number =>
  Buffer.byteLength(JSON.stringify({ basicProperties, redelivered: fields.redelivered, data: '' })) +
  Math.ceil(content.length / 3) * 4 +
  1;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * A date in Java's medium English format, in UTC: `Jan 1, 1970, 12:33:41 AM`.
 * It does not use `Intl`, because newer ICU data puts a narrow no-break space before AM and PM.
 *
 * @param seconds since the epoch, as AMQP counts
 * @returns null for a number that is no date
 */
export const formatTimestamp = (seconds: number): string | null => {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return null;
  const hour = date.getUTCHours();
  const twoDigits = (value: number) => String(value).padStart(2, '0');
  const day = `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}, ${date.getUTCFullYear()}`;
  const time = `${hour % 12 || 12}:${twoDigits(date.getUTCMinutes())}:${twoDigits(date.getUTCSeconds())}`;
  return `${day}, ${time} ${hour < 12 ? 'AM' : 'PM'}`;
};

const stringOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);

const tableOf = (table: object): Record<string, HeaderValue> =>
  Object.fromEntries(Object.entries(table).map(([key, value]) => [key, headerValueOf(value)]));

/** Java's bytes are signed. */
const signedBytes = (bytes: Uint8Array): number[] => Array.from(Int8Array.from(bytes));

const headerValueOf = (value: unknown): HeaderValue => {
  switch (typeof value) {
    case 'string':
      return { bytes: signedBytes(Buffer.from(value)) };
    case 'number':
      return numberOf(value);
    case 'boolean':
      return value;
    case 'object':
      if (value === null) return null;
      if (Buffer.isBuffer(value)) return signedBytes(value);
      if (Array.isArray(value)) return value.map(headerValueOf);
      return '!' in value ? taggedValueOf(value) : tableOf(value);
    default:
      return null;
  }
};

/** The digits that tell every 32-bit float from its neighbours. */
const FLOAT_DIGITS = 9;
/** The bound of AMQP's integers. */
const LONG_BOUND = 2 ** 63;

/**
 * A number as Java writes it. Java writes a 32-bit float with the fewest digits that identify it among 32-bit floats, so
 * 0.1 and not 0.10000000149011612. amqplib returns integers, floats and doubles alike, so a double that equals a 32-bit
 * float is taken for one. JSON has no infinity and no NaN.
 */
const numberOf = (value: number): number | null => {
  if (!Number.isFinite(value)) return null;
  const isInteger = Number.isInteger(value) && Math.abs(value) <= LONG_BOUND;
  if (isInteger || Math.fround(value) !== value) return value;
  const shortest = Array.from({ length: FLOAT_DIGITS }, (_, index) => Number(value.toPrecision(index + 1)));
  return shortest.find((candidate) => Math.fround(candidate) === value) ?? value;
};

/** amqplib returns timestamps and decimals as `{'!': type, value}`, because JavaScript has no type for them. */
const taggedValueOf = (tagged: object): HeaderValue => {
  const { '!': type, value } = tagged as { '!': unknown; value?: unknown };
  if (type === 'timestamp' && typeof value === 'number') return formatTimestamp(value);
  if (type === 'decimal' && typeof value === 'object' && value !== null) {
    const { places, digits } = value as { places: number; digits: number };
    // Java reads the digits as a signed number, amqplib as an unsigned one.
    return Number(`${digits | 0}e-${places}`);
  }
  return tableOf(tagged);
};
