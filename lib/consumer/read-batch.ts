import { isUtf8 } from 'node:buffer';
import * as z from 'zod';
import { parseJson } from '#lib/domain/json.ts';
import { type Delivery, toDelivery } from './delivery.ts';
import { type RabbitMqMessage, rabbitmqEvent } from './rabbitmq-event.ts';

/** A valid command and the message that brought it. */
export type Received<Command> = Command & { delivery: Delivery };
/** A message that is not a command. `content` is its JSON; undefined if it is not JSON. */
export type Malformed = { delivery: Delivery; reason: string; content: unknown };
export type Batch<Command> = { items: Item<Command>[]; malformed: Malformed[] };
/** In the order of the queue. */
export type Item<Command> =
  | { kind: 'command'; command: Received<Command> }
  | { kind: 'barrier'; barrier: Barrier };

const barrier = z.strictObject({
  barrier: z.strictObject({ id: z.string().min(1).max(100), epoch: z.int().min(1) }),
});
export type Barrier = z.output<typeof barrier>['barrier'];

const MAX_REASON = 500;

const parse = (content: Buffer): { content: unknown } | { reason: string } => {
  if (!isUtf8(content)) return { reason: 'not UTF-8' };
  try {
    return { content: parseJson(content.toString('utf8')) };
  } catch {
    return { reason: 'not JSON' };
  }
};

/**
 * The messages of an event, in the order of the queue.
 * @throws Error in one line when the event is not one of Amazon MQ for RabbitMQ
 */
export const messagesOf = (event: unknown): RabbitMqMessage[] => {
  const { data } = rabbitmqEvent.safeParse(event);
  if (data === undefined) throw new Error('The event is not an event of Amazon MQ for RabbitMQ (aws:rmq).');
  return Object.values(data.rmqMessagesByQueue).flat();
};

/** Splits messages into commands, barriers and malformed messages. */
export const readMessages = <Schema extends z.ZodType<object>>(
  messages: readonly RabbitMqMessage[],
  schema: Schema,
  { maxAttempts }: { maxAttempts: number },
): Batch<z.output<Schema>> => {
  const items: Item<z.output<Schema>>[] = [];
  const malformed: Malformed[] = [];
  for (const message of messages) {
    const delivery = toDelivery(message, maxAttempts);
    const parsed = parse(delivery.content);
    if ('reason' in parsed) {
      malformed.push({ delivery, reason: `malformed: ${parsed.reason}`, content: undefined });
      continue;
    }
    const { content } = parsed;
    const command = schema.safeParse(content);
    if (command.success) {
      items.push({ kind: 'command', command: { ...command.data, delivery } });
      continue;
    }
    const mark = barrier.safeParse(content);
    if (mark.success) items.push({ kind: 'barrier', barrier: mark.data.barrier });
    else {
      const reason = `malformed: ${z.prettifyError(command.error)}`.slice(0, MAX_REASON);
      malformed.push({ delivery, reason, content });
    }
  }
  return { items, malformed };
};
