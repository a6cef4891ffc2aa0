import { type ConsumeMessage, connect } from 'amqplib';

const BATCH = 1_000;

export type QueueEvent = { eventSource: 'aws:rmq'; rmqMessagesByQueue: Record<string, unknown[]> };

/** Takes `count` waiting commands out of a queue, as the events that the consumer function receives. */
export const takeEvents = async (queue: string, count: number): Promise<QueueEvent[]> => {
  const connection = await connect(process.env.RABBITMQ_URL ?? '');
  try {
    const channel = await connection.createChannel();
    const messages: ConsumeMessage[] = [];
    await new Promise<void>((resolve, reject) => {
      const onMessage = (message: ConsumeMessage | null) => {
        if (message !== null) messages.push(message);
        if (messages.length === count) resolve();
      };
      channel.consume(queue, onMessage, { noAck: true }).catch(reject);
    });
    return Array.from({ length: Math.ceil(count / BATCH) }, (_, batch) => ({
      eventSource: 'aws:rmq',
      rmqMessagesByQueue: {
        [`${queue}::/`]: messages
          .slice(batch * BATCH, (batch + 1) * BATCH)
          .map(({ properties, content }) => ({
            basicProperties: { headers: properties.headers, messageId: properties.messageId },
            redelivered: false,
            data: content.toString('base64'),
          })),
      },
    }));
  } finally {
    await connection.close();
  }
};
