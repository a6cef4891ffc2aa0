/** A message as a publisher gives it to the broker. */
export type Published = {
  content: unknown;
  messageId?: unknown;
  headers?: Record<string, unknown>;
};

const bytesOf = (content: unknown): Buffer =>
  Buffer.isBuffer(content)
    ? content
    : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));

/** The event of the Amazon MQ event source for these messages of one queue. Header strings arrive as bytes. */
export const rabbitmqEventOf = (queue: string, ...messages: Published[]) => ({
  eventSource: 'aws:rmq',
  eventSourceArn: 'arn:aws:mq:local:000000000000:broker:chat:b-0',
  rmqMessagesByQueue: {
    [`${queue}::/`]: messages.map(({ content, messageId = null, headers = {} }) => ({
      basicProperties: {
        messageId,
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [
            name,
            typeof value === 'string' ? { bytes: [...Buffer.from(value)] } : value,
          ]),
        ),
      },
      redelivered: false,
      data: bytesOf(content).toString('base64'),
    })),
  },
});
