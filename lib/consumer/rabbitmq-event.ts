import * as z from 'zod';

/**
 * The event of Amazon MQ for RabbitMQ, which no published package types. The type declares the used fields
 * only. Any program may set properties and headers, so each is read on its own and may have any type.
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
