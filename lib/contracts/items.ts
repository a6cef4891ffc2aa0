import * as z from 'zod';
import { changeTypes } from '#lib/domain/change.ts';
import { changeNumber, examples } from './fields.ts';

export const application = z
  .object({
    token: z.string().meta({ examples: [examples.token] }),
    name: z.string().meta({ examples: ['Web shop'] }),
    chatsCount: z.int().meta({ examples: [1] }),
  })
  .meta({ id: 'Application', description: 'An application with its number of chats' });

/** Fields of a message, as lists and searches show it. */
export const shown = {
  messageNumber: z.int().meta({ examples: [1] }),
  sender: z.string().meta({
    description: 'The handle of the sender; absent after the account was erased',
    examples: [examples.handle],
  }),
  senderName: z.string().meta({ examples: [examples.user] }),
  body: z.string().meta({ examples: [examples.body] }),
  createdAt: z.string().meta({ format: 'date-time', description: 'In UTC', examples: [examples.createdAt] }),
};

export const message = z
  .object({
    messageNumber: shown.messageNumber,
    sender: shown.sender.optional(),
    senderName: shown.senderName,
    body: shown.body,
    createdAt: shown.createdAt,
    editedAt: z
      .string()
      .meta({
        format: 'date-time',
        description: 'In UTC; absent if the message was never edited',
        examples: [examples.editedAt],
      })
      .optional(),
    deletedAt: z
      .string()
      .meta({
        format: 'date-time',
        description: 'In UTC; present only if the message was deleted. Its `body` is empty then',
        examples: [examples.deletedAt],
      })
      .optional(),
    changeNumber: changeNumber.meta({ description: 'Of this content: the higher one is newer' }),
  })
  .meta({ id: 'Message', description: 'A message' });

/** A chat as everybody sees it, without the reader's own count. */
const changedChat = z
  .object({
    chatNumber: z.int().meta({ examples: [1] }),
    title: z
      .string()
      .meta({ examples: [examples.title] })
      .optional(),
    messagesCount: z.int().meta({ examples: [1] }),
  })
  .meta({ id: 'ChangedChat', description: 'A chat with its number of messages' });

/** A change with its content. Frames add `previous`. */
export const event = z
  .object({
    type: z.enum(changeTypes),
    changeNumber,
    date: z.string().meta({ format: 'date-time', description: 'In UTC', examples: [examples.createdAt] }),
    token: z.string().meta({ examples: [examples.token] }),
    chatNumber: z
      .int()
      .meta({ examples: [1] })
      .optional(),
    messageNumber: z
      .int()
      .meta({ examples: [1] })
      .optional(),
    message: message.optional(),
    chat: changedChat.optional(),
    application: application.optional(),
  })
  .meta({
    id: 'Event',
    description:
      'A change, with the item as it is at the moment of reading. A deleted chat or application and an item over 24 KB come without it',
  });
