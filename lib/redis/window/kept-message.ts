import * as z from 'zod';
import type { Written } from '#lib/contracts/commands/command.ts';
import type { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { type Edit, type Message, msOfId } from '#lib/domain/message.ts';

/** Redis stores a message as its creating command. Messages from MySQL are converted to this form. */
const keptMessage = z.object({
  token: z.string(),
  chatNumber: z.int(),
  messageNumber: z.int(),
  senderId: z.int(),
  sender: z.string().nullish(),
  senderName: z.string(),
  body: z.string(),
  date: z.string(),
  editedAt: z.string().optional(),
  deletedAt: z.string().optional(),
  commandId: z.int(),
}) satisfies z.ZodType<
  Pick<
    Written<typeof createMessageCommand>,
    'token' | 'chatNumber' | 'messageNumber' | 'senderId' | 'senderName' | 'body' | 'date' | 'commandId'
  >
>;
export type KeptMessage = z.input<typeof keptMessage>;

const keptEdit = z.object({
  messageNumber: z.int(),
  body: z.string(),
  deleted: z.literal(true).nullish(),
  commandId: z.int(),
}) satisfies z.ZodType<
  Pick<Written<typeof updateMessageCommand>, 'messageNumber' | 'body' | 'deleted' | 'commandId'>
>;

export const toMessage = (json: string): Message => {
  const { date, editedAt, deletedAt, commandId, ...kept } = keptMessage.parse(JSON.parse(json));
  return {
    ...kept,
    createdAtMs: Date.parse(date),
    ...(editedAt === undefined ? {} : { editedAtMs: Date.parse(editedAt) }),
    ...(deletedAt === undefined ? {} : { deletedAtMs: Date.parse(deletedAt) }),
    version: commandId,
  };
};

export const toKept = (message: Message): string => {
  const {
    token,
    chatNumber,
    messageNumber,
    senderId,
    sender,
    senderName,
    body,
    createdAtMs,
    editedAtMs,
    deletedAtMs,
    version,
  } = message;
  return JSON.stringify({
    token,
    chatNumber,
    messageNumber,
    senderId,
    sender,
    senderName,
    body,
    date: new Date(createdAtMs).toISOString(),
    ...(editedAtMs === undefined ? {} : { editedAt: new Date(editedAtMs).toISOString() }),
    ...(deletedAtMs === undefined ? {} : { deletedAt: new Date(deletedAtMs).toISOString() }),
    commandId: version,
  } satisfies KeptMessage);
};

export const toEdit = (json: string): Edit => {
  const { messageNumber, body, deleted, commandId } = keptEdit.parse(JSON.parse(json));
  return {
    messageNumber,
    body,
    editedAtMs: msOfId(commandId),
    version: commandId,
    ...(deleted ? { deleted } : {}),
  };
};
