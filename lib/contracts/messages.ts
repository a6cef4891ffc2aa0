import * as z from 'zod';
import {
  body,
  boundedDepth,
  instant,
  number,
  numberInPath,
  paging,
  searchText,
  token,
  tooDeep,
} from './fields.ts';
import { route } from './route.ts';

const inChat = z.strictObject({ token, chatNumber: numberInPath });
const ofMessage = z.strictObject({ token, chatNumber: numberInPath, messageNumber: numberInPath });

const message = z.object({
  messageNumber: z.int(),
  senderName: z.string(),
  body: z.string(),
  createdAt: z.string(),
  editedAt: z.string().optional(),
});

export const createMessage = route({
  function: 'createMessage',
  method: 'POST',
  path: '/applications/{token}/chats/{chatNumber}/messages',
  tag: 'Messages',
  summary: 'Send a message',
  authentication: 'bearer',
  request: { path: inChat, body: z.strictObject({ body, createdAt: instant.optional() }) },
  response: z.object({ messageNumber: z.int() }),
  creates: true,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const updateMessage = route({
  function: 'updateMessage',
  method: 'PUT',
  path: '/applications/{token}/chats/{chatNumber}/messages/{messageNumber}',
  tag: 'Messages',
  summary: 'Edit a message of one’s own',
  authentication: 'bearer',
  request: { path: ofMessage, body: z.strictObject({ body }) },
  response: z.object({}),
  errors: ['bad-input', 'forbidden', 'not-found', 'unavailable'],
});

export const updateMessageByBody = route({
  ...updateMessage,
  path: '/applications/{token}/chats/{chatNumber}/messages',
  summary: 'Edit a message of one’s own, its number in the body',
  request: { path: inChat, body: z.strictObject({ messageNumber: number, body }) },
});

export const listMessages = route({
  function: 'listMessages',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/messages',
  tag: 'Messages',
  summary: 'The messages of a chat, newest first',
  authentication: 'bearer',
  request: {
    path: inChat,
    query: z
      .strictObject({
        ...paging,
        page: paging.page.unwrap().optional(),
        before: z
          .string()
          .min(1)
          .max(200)
          .optional()
          .describe('A cursor from the Link header of the page before'),
      })
      .refine(({ page, before }) => page === undefined || before === undefined, {
        path: ['before'],
        error: 'Goes instead of page, not with it',
      })
      .refine(({ page = 1, limit }) => boundedDepth({ page, limit }), tooDeep),
  },
  response: z.array(message),
  list: true,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const getMessage = route({
  function: 'getMessage',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/messages/{messageNumber}',
  tag: 'Messages',
  summary: 'One message',
  authentication: 'bearer',
  request: { path: ofMessage },
  response: message,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

const highlight = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true')
  .describe('Adds the fragments that matched, as HTML with the matches in <em>');

const upTo = numberInPath
  .optional()
  .describe(
    'Leaves out messages numbered higher, so that pages do not shift as messages arrive; the Link header sets it',
  );

/** OpenSearch's own bound on how deep a result may be paged (`index.max_result_window`). */
const withinResultWindow = ({ page, limit }: { page: number; limit: number }) => page * limit <= 10_000;
const beyondResultWindow = { path: ['page'], error: 'Must stay within the best 10000 matches' };

export const searchMessages = route({
  function: 'searchMessages',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/messages/search',
  tag: 'Messages',
  summary: 'Search the messages of a chat, best match first',
  authentication: 'bearer',
  request: {
    path: inChat,
    query: z
      .strictObject({ q: searchText, ...paging, highlight, upTo })
      .refine(withinResultWindow, beyondResultWindow),
  },
  response: z.array(
    z.object({
      messageNumber: z.int(),
      body: z.string(),
      createdAt: z.string(),
      highlights: z.array(z.string()).optional(),
    }),
  ),
  list: true,
  responseHeaders: {
    'Search-Lag': 'Seconds by which the index is behind what was accepted; absent when it is not',
  },
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const searchByQuery = route({
  ...searchMessages,
  path: '/search',
  summary: 'Search the messages of a chat, in the form of the older API',
  request: {
    query: z
      .strictObject({
        application_token: token,
        chat_number: numberInPath,
        body: searchText,
        ...paging,
        highlight,
        upTo,
      })
      .refine(withinResultWindow, beyondResultWindow)
      .transform(({ application_token, chat_number, body: q, ...rest }) => ({
        token: application_token,
        chatNumber: chat_number,
        q,
        ...rest,
      })),
  },
});
