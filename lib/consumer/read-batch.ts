import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import * as z from 'zod';
import { parseJson } from '#lib/domain/json.ts';
import { type Delivery, toDelivery } from './delivery.ts';
import { type RabbitMqMessage, rabbitmqEvent } from './rabbitmq-event.ts';

/** A command as its consumer reads it. `digest`: of its message, if the command names an epoch. */
export type Digested<Command> = Command & { digest?: string };
/** A valid command, and the message that brought it. */
export type Received<Command> = { command: Digested<Command>; delivery: Delivery };
/** A message that is not a command. `content` is its JSON; undefined if it is not JSON. */
export type Malformed = { delivery: Delivery; reason: string; content: unknown };
export type Batch<Command> = { items: Item<Command>[]; malformed: Malformed[] };
/** In the order of the queue. */
type Item<Command> =
  | { kind: 'command'; received: Received<Command> }
  | { kind: 'barrier'; barrier: Barrier; delivery: Delivery };

const barrier = z.strictObject({
  barrier: z.strictObject({ id: z.string().min(1).max(100), epoch: z.int().min(1) }),
});
export type Barrier = z.output<typeof barrier>['barrier'];

const MAX_REASON = 500;

/** The SHA-1 of a message, by which Redis recognizes the command in its outbox. */
export const digestOf = ({ content }: Delivery): string => hash('sha1', content);

export const malformedBy = (delivery: Delivery, fault: string, content?: unknown): Malformed => ({
  delivery,
  reason: `malformed: ${fault}`.slice(0, MAX_REASON),
  content,
});

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
 * @throws an Error of one line when the event is not one of Amazon MQ for RabbitMQ
 */
export const messagesOf = (event: unknown): RabbitMqMessage[] => {
  const { data } = rabbitmqEvent.safeParse(event);
  if (data !== undefined) return Object.values(data.rmqMessagesByQueue).flat();
  throw new Error(
    'Not an event of Amazon MQ for RabbitMQ: expected eventSource aws:rmq and rmqMessagesByQueue, as in test/events/persistMessage.json',
  );
};

const hasEpoch = (command: object): boolean => 'epoch' in command && command.epoch !== undefined;

/** Splits messages into commands, barriers and malformed messages. */
export const readMessages = <Schema extends z.ZodType<object>>(
  messages: readonly RabbitMqMessage[],
  schema: Schema,
  { maxAttempts, takesBarriers }: { maxAttempts: number; takesBarriers: boolean },
): Batch<z.output<Schema>> => {
  const items: Item<z.output<Schema>>[] = [];
  const malformed: Malformed[] = [];
  for (const message of messages) {
    const delivery = toDelivery(message, maxAttempts);
    const parsed = parse(delivery.content);
    if ('reason' in parsed) {
      malformed.push(malformedBy(delivery, parsed.reason));
      continue;
    }
    const { content } = parsed;
    const command = schema.safeParse(content);
    if (command.success) {
      const received: Received<z.output<Schema>> = { command: command.data, delivery };
      if (hasEpoch(command.data)) received.command.digest = digestOf(delivery);
      items.push({ kind: 'command', received });
      continue;
    }
    const mark = takesBarriers ? barrier.safeParse(content).data : undefined;
    if (mark === undefined) malformed.push(malformedBy(delivery, z.prettifyError(command.error), content));
    else items.push({ kind: 'barrier', barrier: mark.barrier, delivery });
  }
  return { items, malformed };
};
