import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { examples, number, numberInPath, optional, paging, title, token } from '../fields.ts';
import { route, upToHeader } from './route.ts';

const unreadCount = z
  .int()
  .min(0)
  .max(limits.unread)
  .meta({
    description: `Messages above the caller's read marker without deleted ones; ${limits.unread} means that many or more`,
    examples: [1],
  });

const chat = z
  .object({
    chatNumber: z.int().meta({ examples: [1] }),
    title: z
      .string()
      .meta({ examples: [examples.title] })
      .optional(),
    messagesCount: z.int().meta({ examples: [1] }),
    unreadCount,
  })
  .meta({
    id: 'Chat',
    description: 'A chat with its number of messages, and of those that the caller has not read',
  });

export const createChat = route({
  function: 'createChat',
  method: 'POST',
  path: '/applications/{token}/chats',
  tag: 'Chats',
  summary: 'Create a chat',
  description:
    'Chats are numbered 1, 2, 3, … in their application, in the order in which they are accepted. The body is optional.',
  authentication: 'bearer',
  request: {
    path: z.strictObject({ token }),
    body: z.strictObject({ title: optional(title) }),
    bodyOptional: true,
  },
  response: z.object({ chatNumber: z.int().meta({ examples: [1] }) }).describe('The number of the new chat'),
  creates: true,
  submits: true,
  errors: ['bad-input', 'not-found', 'conflict', 'unavailable'],
});

export const updateChat = route({
  function: 'updateChat',
  method: 'PUT',
  path: '/applications/{token}/chats/{chatNumber}',
  tag: 'Chats',
  summary: 'Change the title of a chat',
  description:
    'Only the creator of the chat or of its application may change it. Without `title`, the chat has none afterwards.',
  authentication: 'bearer',
  request: {
    path: z.strictObject({ token, chatNumber: numberInPath }),
    body: z.strictObject({ title: optional(title) }),
  },
  response: z.object({}).describe('Changed'),
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'unavailable'],
});

export const deleteChat = route({
  function: 'deleteChat',
  method: 'DELETE',
  path: '/applications/{token}/chats/{chatNumber}',
  tag: 'Chats',
  summary: 'Delete a chat',
  description:
    'Only the creator of the chat or of its application may delete it. From the answer on the chat and its messages are not found. Its number is never given again. A deletion cannot be undone.',
  authentication: 'bearer',
  request: { path: z.strictObject({ token, chatNumber: numberInPath }) },
  response: z.object({}).describe('Deleted'),
  creates: true,
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'unavailable'],
});

export const listChats = route({
  function: 'listChats',
  method: 'GET',
  path: '/applications/{token}/chats',
  tag: 'Chats',
  summary: 'The chats of an application, by number',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }), query: z.strictObject(paging) },
  response: z.array(chat).describe('One page of the list'),
  list: true,
  responseHeaders: upToHeader,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const getChat = route({
  function: 'getChat',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}',
  tag: 'Chats',
  summary: 'One chat',
  authentication: 'bearer',
  request: { path: z.strictObject({ token, chatNumber: numberInPath }) },
  response: chat,
  responseHeaders: upToHeader,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const markChatRead = route({
  function: 'markChatRead',
  method: 'PUT',
  path: '/applications/{token}/chats/{chatNumber}/read',
  tag: 'Chats',
  summary: 'Mark the messages of a chat as read',
  description:
    'Each user has one marker a chat, which only this user sees. It only rises: a lower number answers the present marker. Sending a message marks the chat as read up to it.',
  authentication: 'bearer',
  request: {
    path: z.strictObject({ token, chatNumber: numberInPath }),
    body: z.strictObject({ messageNumber: number }),
  },
  response: z
    .object({ messageNumber: number, unreadCount })
    .describe('The present marker, and the number of unread messages'),
  submits: true,
  errors: ['bad-input', 'not-found', 'unavailable'],
});
