import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { instant, number, token } from './fields.ts';

const id = z.int().min(1);
const text = (maximum: number) => z.string().min(1).max(maximum);

/**
 * The accepting script's number for the command: microseconds since the epoch, higher for every command accepted.
 * It names the command, and is the version of what the command writes. One that comes without it (from another
 * program) takes the microseconds of its `date`.
 */
const commandId = z.int().min(1).optional();

export type CommandContract<Schema extends z.ZodType = z.ZodType> = {
  /** Name of the queue and of the command. */
  queue: string;
  /** Key of the consumer function in serverless.yml. */
  function: string;
  schema: Schema;
};

const command = <Schema extends z.ZodType>(contract: CommandContract<Schema>) => contract;

const versioned = <Command extends { date: string; commandId?: number | undefined }>(given: Command) => ({
  ...given,
  commandId: given.commandId ?? Math.max(1, Date.parse(given.date) * 1000),
});

export const createApplicationCommand = command({
  queue: 'create-application',
  function: 'persistApplication',
  schema: z
    .object({ token, name: text(limits.name), creatorId: id, date: instant, commandId })
    .transform(versioned),
});

export const updateApplicationCommand = command({
  queue: 'update-application',
  function: 'persistApplicationUpdate',
  schema: z.object({ token, name: text(limits.name), date: instant, commandId }).transform(versioned),
});

export const createChatCommand = command({
  queue: 'create-chat',
  function: 'persistChat',
  schema: z
    .object({
      token,
      chatNumber: number,
      creatorId: id,
      title: text(limits.title).optional(),
      date: instant,
      commandId,
    })
    .transform(versioned),
});

export const createMessageCommand = command({
  queue: 'create-message',
  function: 'persistMessage',
  schema: z
    .object({
      token,
      chatNumber: number,
      messageNumber: number,
      senderId: id,
      senderName: text(limits.name).optional(),
      body: text(limits.body),
      date: instant,
      commandId,
    })
    .transform(versioned),
});

export const updateMessageCommand = command({
  queue: 'update-message',
  function: 'persistMessageUpdate',
  schema: z
    .object({
      token,
      chatNumber: number,
      messageNumber: number,
      body: text(limits.body),
      date: instant,
      commandId,
    })
    .transform(versioned),
});

export const indexMessageCommand = command({
  queue: 'index-message',
  function: 'indexMessage',
  schema: z.object({
    token,
    chatNumber: number,
    messageNumber: number,
    senderName: z.string(),
    body: text(limits.body),
    createdAt: instant,
    editedAt: instant.optional(),
    version: z.int().min(1),
  }),
});

export type CreateApplication = z.output<(typeof createApplicationCommand)['schema']>;
export type UpdateApplication = z.output<(typeof updateApplicationCommand)['schema']>;
export type CreateChat = z.output<(typeof createChatCommand)['schema']>;
export type CreateMessage = z.output<(typeof createMessageCommand)['schema']>;
export type UpdateMessage = z.output<(typeof updateMessageCommand)['schema']>;
export type IndexMessage = z.output<(typeof indexMessageCommand)['schema']>;

/** Every command, in the order in which one may depend on another. */
export const commands = [
  createApplicationCommand,
  updateApplicationCommand,
  createChatCommand,
  createMessageCommand,
  updateMessageCommand,
  indexMessageCommand,
] as const satisfies readonly CommandContract[];

export const queueNames: readonly string[] = commands.map(({ queue }) => queue);
