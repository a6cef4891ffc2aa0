import * as z from 'zod';
import { examples, numberInPath, optional, paging, title, token } from '../fields.ts';
import { route } from './route.ts';

const chat = z
  .object({
    chatNumber: z.int().meta({ examples: [1] }),
    title: z
      .string()
      .meta({ examples: [examples.title] })
      .optional(),
    messagesCount: z.int().meta({ examples: [1] }),
  })
  .meta({ id: 'Chat', description: 'A chat with its number of messages' });

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
  errors: ['bad-input', 'not-found', 'unavailable'],
});
