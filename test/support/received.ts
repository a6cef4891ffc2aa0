import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { type Digested, readMessages } from '#lib/consumer/read-batch.ts';
import type { CommandContract } from '#lib/contracts/commands/command.ts';

/** The digest by which the outbox recognizes a command. */
export const digestOf = (content: string | undefined): string =>
  createHash('sha1')
    .update(content ?? '')
    .digest('hex');

/** The command in a message, as its consumer reads it. @throws if it is not a command */
export const received = <Schema extends z.ZodType<object>>(
  { schema }: Pick<CommandContract<Schema>, 'schema'>,
  content: string | undefined,
): Digested<z.output<Schema>> => {
  const message = { data: Buffer.from(content ?? '').toString('base64') };
  const { items, malformed } = readMessages([message], schema, { maxAttempts: 0, takesBarriers: false });
  const [item] = items;
  if (item?.kind !== 'command') throw new Error(malformed[0]?.reason);
  return item.received.command;
};
