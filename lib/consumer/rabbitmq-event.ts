import * as z from 'zod';

/**
 * The event of Amazon MQ for RabbitMQ. No published package types it; only what is read here is declared. Properties and
 * headers come from whoever published the message, so they are read one by one and may have any type.
 * https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
 */
export const rabbitmqEvent = z.object({
  eventSource: z.literal('aws:rmq'),
  rmqMessagesByQueue: z.record(
    z.string().regex(/^.+::.+$/),
    z.array(z.object({ basicProperties: z.unknown(), data: z.string() })),
  ),
});

export type RabbitMqMessage = { basicProperties?: unknown; data: string };
