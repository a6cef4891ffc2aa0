/** The types of an Amazon MQ event for RabbitMQ, which `@types/aws-lambda` lacks. */

/** A value of the headers table, as JSON. */
export type HeaderValue =
  | null
  | boolean
  | number
  | string
  | number[]
  | { bytes: number[] }
  | HeaderValue[]
  | { [key: string]: HeaderValue };

/** The AMQP properties of a message; null for each absent one. */
export type BasicProperties = {
  contentType: string | null;
  contentEncoding: string | null;
  headers: Record<string, HeaderValue> | null;
  deliveryMode: number | null;
  priority: number | null;
  correlationId: string | null;
  replyTo: string | null;
  expiration: string | null;
  messageId: string | null;
  /** Such as `Jan 1, 1970, 12:33:41 AM`, in UTC. */
  timestamp: string | null;
  type: string | null;
  userId: string | null;
  appId: string | null;
  clusterId: string | null;
  /** Length of the decoded data, in bytes. */
  bodySize: number;
};

/** One message in an `aws:rmq` event. */
export type RabbitmqRecord = {
  basicProperties: BasicProperties;
  redelivered: boolean;
  /** The message's body, base64. */
  data: string;
};

/** The event of the function: one batch of one queue. */
export type RabbitmqEvent = {
  eventSource: 'aws:rmq';
  eventSourceArn: string;
  /** The key is `<queue>::<virtual host>`. */
  rmqMessagesByQueue: Record<string, RabbitmqRecord[]>;
};
