import * as z from 'zod';

/**
 * The event of Amazon MQ for RabbitMQ. No published package types it; only what is read here is declared.
 * https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
 */
const headerValue = z.union([
  z.number(),
  z.boolean(),
  z.null(),
  // Strings arrive as signed bytes of UTF-8.
  z
    .object({ bytes: z.array(z.int()) })
    .transform(({ bytes }) => Buffer.from(bytes.map((byte) => byte & 0xff)).toString('utf8')),
  z.unknown().transform(() => undefined),
]);

const message = z.object({
  basicProperties: z.object({
    headers: z.record(z.string(), headerValue).nullish(),
    messageId: z.string().nullish(),
  }),
  redelivered: z.boolean(),
  data: z.base64(),
});

export const rabbitmqEvent = z.object({
  eventSource: z.literal('aws:rmq'),
  rmqMessagesByQueue: z.record(z.string().regex(/^.+::.+$/), z.array(message)),
});

export type RabbitMqMessage = z.output<typeof message>;
