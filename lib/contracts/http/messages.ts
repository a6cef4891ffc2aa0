import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import {
  body,
  examples,
  instant,
  instantMs,
  number,
  numberInPath,
  optional,
  pageOrAfter,
  pageOrBefore,
  paging,
  searchText,
  token,
  withBoundedDepth,
  withRule,
} from '../fields.ts';
import { message, shown } from '../items.ts';
import { route, upToHeader } from './route.ts';

const inChat = z.strictObject({ token, chatNumber: numberInPath });
const ofMessage = z.strictObject({ token, chatNumber: numberInPath, messageNumber: numberInPath });

const highlights = z
  .array(z.string())
  .meta({ description: 'Present with `highlight=true`', examples: [['<em>Hello</em>, and welcome 👋']] })
  .optional();

const found = z
  .object({ ...shown, sender: shown.sender.optional(), highlights })
  .meta({ id: 'FoundMessage', description: 'A message that matches' });

const foundInApplication = z
  .object({
    chatNumber: z.int().meta({ examples: [1] }),
    ...shown,
    sender: shown.sender.optional(),
    highlights,
  })
  .meta({ id: 'FoundInApplication', description: 'A message that matches, and its chat' });

/** The older API knew no senders. */
const foundByQuery = z
  .object({
    messageNumber: shown.messageNumber,
    body: shown.body,
    createdAt: shown.createdAt,
    highlights,
  })
  .meta({ id: 'FoundText', description: 'A message that matches, in the form of the older API' });

const sentAt = instant
  .refine((value) => Date.parse(value) >= 0, { error: 'Must not be before 1970-01-01T00:00:00Z' })
  .describe(
    'The time of the message, with an offset: from 1970-01-01T00:00:00Z to 24 hours from now, stored in milliseconds. Default: the time at which the message is accepted',
  );

export const createMessage = route({
  function: 'createMessage',
  method: 'POST',
  path: '/applications/{token}/chats/{chatNumber}/messages',
  tag: 'Messages',
  summary: 'Send a message',
  description:
    'Messages are numbered 1, 2, 3, … in their chat, in the order in which they are accepted. Reads after the answer show the message. Search finds it about a second later.',
  authentication: 'bearer',
  request: { path: inChat, body: z.strictObject({ body, createdAt: optional(sentAt) }) },
  response: z.object({ messageNumber: shown.messageNumber }).describe('The number of the new message'),
  creates: true,
  submits: true,
  errors: ['bad-input', 'not-found', 'conflict', 'unavailable'],
});

export const updateMessage = route({
  function: 'updateMessage',
  method: 'PUT',
  path: '/applications/{token}/chats/{chatNumber}/messages/{messageNumber}',
  tag: 'Messages',
  summary: 'Edit one of your own messages',
  description: 'Only the sender of the message may edit it. A deleted message cannot be edited (409).',
  authentication: 'bearer',
  request: { path: ofMessage, body: z.strictObject({ body }) },
  response: z.object({}).describe('Edited'),
  submits: true,
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'conflict', 'unavailable'],
});

export const deleteMessage = route({
  function: 'deleteMessage',
  method: 'DELETE',
  path: '/applications/{token}/chats/{chatNumber}/messages/{messageNumber}',
  tag: 'Messages',
  summary: 'Delete a message',
  description:
    'The sender of the message and the creator of the application may delete it. From the answer on no answer shows its text. The message keeps its number and its place, with an empty `body` and `deletedAt`, and search does not find it. A repetition answers the same. A deletion cannot be undone.',
  authentication: 'bearer',
  request: { path: ofMessage },
  response: z.object({}).describe('Deleted, also if it was deleted before'),
  submits: true,
  errors: ['bad-input', 'forbidden', 'not-found', 'precondition-failed', 'unavailable'],
});

export const updateMessageByBody = route({
  ...updateMessage,
  path: '/applications/{token}/chats/{chatNumber}/messages',
  summary: 'Edit one of your own messages, with its number in the body',
  request: { path: inChat, body: z.strictObject({ messageNumber: number, body }) },
});

const before = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe(
    'A cursor from a `Link` header: older messages, newest first. Not together with `page` or `after`',
  );

const afterPlace = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe(
    'A cursor from a `Link` header: newer messages, oldest first; `start` begins at the oldest message. Not together with `page` or `before`',
  );

export const listMessages = route({
  function: 'listMessages',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/messages',
  tag: 'Messages',
  summary: 'The messages of a chat, newest first or oldest first',
  description:
    'Messages are ordered by `createdAt`, newest first, then by number, highest first. To get the next page, follow the `Link` header. Its cursor, `before`, is equally fast at any depth and does not shift when messages arrive. `after` reads the other way, oldest first, and `after=start` begins at the oldest message. `rel="prev"` leads back. `page` selects a page by number instead. A page ends at `limit` messages or at 4 MB of JSON.',
  authentication: 'bearer',
  request: {
    path: inChat,
    query: withBoundedDepth(
      withRule(
        withRule(
          z.strictObject({ ...paging, page: pageOrBefore, before, after: afterPlace }),
          ({ page, before }) => page === undefined || before === undefined,
          { path: ['before'], error: 'Must not be given together with page' },
        ),
        ({ page, before, after }) => after === undefined || (page === undefined && before === undefined),
        { path: ['after'], error: 'Must not be given together with page or before' },
      ),
    ),
  },
  response: z.array(message).describe('One page of the list'),
  list: true,
  responseHeaders: upToHeader,
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
  responseHeaders: upToHeader,
  errors: ['bad-input', 'not-found', 'unavailable'],
});

const highlight = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true')
  .describe('Adds the matching fragments as HTML, with the matches in `<em>`');

const upTo = numberInPath
  .optional()
  .describe(
    'Excludes messages with a higher number, so that pages do not shift when messages arrive; the `Link` header sets it',
  );

const after = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe('A cursor from the `Link` header of the page before. Not together with `page`');

const hitPaging = { page: pageOrAfter, limit: paging.limit, after };

type HitPaging = { page?: number | undefined; after?: string | undefined; limit: number };
const eitherPageOrAfter = ({ page, after }: HitPaging) => page === undefined || after === undefined;
const notBoth = { path: ['after'], error: 'Must not be given together with page' };

/** OpenSearch returns no more than 10,000 matches by page (`index.max_result_window`). */
const withinResultWindow = ({ page = 1, limit }: HitPaging) => page * limit <= limits.searchDepth;
const beyondResultWindow = {
  path: ['page'],
  error: `Must stay within the best ${limits.searchDepth} matches`,
};
const withHitPaging = <Schema extends z.ZodType<HitPaging>>(schema: Schema): Schema =>
  withRule(withRule(schema, eitherPageOrAfter, notBoth), withinResultWindow, beyondResultWindow);

const filters = {
  q: searchText.optional(),
  sender: z
    .string()
    .min(1)
    .max(limits.senderText)
    .meta({
      description:
        'The handle of the sender, as `sender` of a message or `GET /users/me` answers it; an unknown one finds nothing',
      examples: [examples.handle],
    })
    .optional(),
  from: instantMs
    .optional()
    .describe(
      'Messages of this time or later (`createdAt`), as a date and time with an offset. A `+` is `%2B` in a URL',
    ),
  to: instantMs.optional().describe('Messages before this time, in the same form'),
  sort: z
    .enum(['best', 'newest'])
    .optional()
    .describe(
      'The best match first, the default; or the newest message first, the default and only order without `q`',
    ),
};
type Filters = { q?: string | undefined; sender?: string | undefined; sort?: 'best' | 'newest' | undefined };
const withFilters = <Schema extends z.ZodType<Filters>>(schema: Schema): Schema =>
  withRule(
    withRule(schema, ({ q, sender }) => q !== undefined || sender !== undefined, {
      path: ['q'],
      error: 'Must be given, or sender',
    }),
    ({ q, sort }) => q !== undefined || sort !== 'best',
    { path: ['sort'], error: 'Must be newest without q' },
  );

const search = { ...filters, ...hitPaging, highlight };

export const searchMessages = route({
  function: 'searchMessages',
  method: 'GET',
  path: '/applications/{token}/chats/{chatNumber}/messages/search',
  tag: 'Messages',
  summary: 'Search the messages of a chat by words, sender and time',
  description:
    'Finds whole words, beginnings of words, and words with a typo, in this order. Case and accents do not matter. `q` or `sender` is needed, and all filters combine. To get the next page, follow the `Link` header. It uses `page`, or the cursor `after` if a page ended at 4 MB. A cursor belongs to its search, with all filters.',
  authentication: 'bearer',
  request: {
    path: inChat,
    query: withFilters(withHitPaging(z.strictObject({ ...search, upTo }))),
  },
  response: z.array(found).describe('One page of the list'),
  list: true,
  responseHeaders: {
    'Search-Lag': 'Seconds by which the index lags behind accepted messages; absent without a lag',
  },
  errors: ['bad-input', 'not-found', 'unavailable'],
});

export const searchApplication = route({
  ...searchMessages,
  path: '/applications/{token}/messages/search',
  summary: 'Search all chats of an application by words, sender and time',
  description:
    'Finds messages as the search of a chat does, in all chats of the application. To get the next page, follow the `Link` header, which uses the cursor `after`.',
  request: {
    path: z.strictObject({ token }),
    query: withFilters(withHitPaging(z.strictObject(search))),
  },
  response: z.array(foundInApplication).describe('One page of the list'),
});

export const searchByQuery = route({
  ...searchMessages,
  path: '/search',
  summary: 'Search the messages of a chat, with the parameters of the older API',
  description:
    'Finds messages by the words in `body`, as the search of a chat does, and takes none of its filters. To get the next page, follow the `Link` header.',
  response: z.array(foundByQuery).describe('One page of the list'),
  request: {
    query: withHitPaging(
      z.strictObject({
        application_token: token,
        chat_number: numberInPath,
        body: searchText,
        ...hitPaging,
        highlight,
        upTo,
      }),
    ).transform(({ application_token, chat_number, body: q, ...rest }) => ({
      token: application_token,
      chatNumber: chat_number,
      q,
      ...rest,
    })),
  },
});
