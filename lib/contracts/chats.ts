import * as z from 'zod';
import { numberInPath, paging, title, token } from './fields.ts';
import { route } from './route.ts';

const chat = z.object({ chatNumber: z.int(), title: z.string().optional(), messagesCount: z.int() });

export const createChat = route({
  function: 'createChat',
  method: 'POST',
  path: '/applications/{token}/chats',
  tag: 'Chats',
  summary: 'Create a chat',
  authentication: 'bearer',
  request: {
    path: z.strictObject({ token }),
    body: z.strictObject({ title: title.optional() }),
    bodyOptional: true,
  },
  response: z.object({ chatNumber: z.int() }),
  creates: true,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const listChats = route({
  function: 'listChats',
  method: 'GET',
  path: '/applications/{token}/chats',
  tag: 'Chats',
  summary: 'The chats of an application, by number',
  authentication: 'bearer',
  request: { path: z.strictObject({ token }), query: z.strictObject(paging) },
  response: z.array(chat),
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
