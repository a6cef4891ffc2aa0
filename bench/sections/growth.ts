import { submit } from '#lib/runtime/services.ts';
import { handler as createMessage } from '../../functions/http/messages/create-message.ts';
import { handler as listMessages } from '../../functions/http/messages/list-messages.ts';
import { handler as searchMessages } from '../../functions/http/messages/search-messages.ts';
import { handler as syncCounts } from '../../functions/scheduled/sync-counts.ts';
import { connectApi } from '../../local/demo/api.ts';
import { bodyOf, type Chat, createChat, fillChat, sendAll, untilStored } from '../conversation.ts';
import { callFunction, lambdaContext } from '../function-call.ts';
import { loadChats, loadMessages, RARE_WORD } from '../load.ts';
import { compare, median } from '../measure.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';
import { flushRedis } from './heal.ts';
import { cursorAt, readingCalls } from './http.ts';

const SMALL = 10_000;
const DEPTH = 9_000;
const TURNS = { inFlight: 1, turnMs: 400, rounds: 5 };
const PERSISTED = 1_000;
const SYNCED_CHATS = 300;
const ROUNDS = 3;

type Times = Record<string, number>;

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
};

const medianOf = async (measure: () => Promise<number>): Promise<number> => {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await measure());
  return median(times);
};

/** Accepted messages until MySQL has them, in ms. */
const persistMs = ({ token, chatNumber, user }: Chat): Promise<number> =>
  timed(async () => {
    await sendAll(PERSISTED, (index) => ({ token, chatNumber, user, index }));
    const last = await submit().message({
      token,
      chatNumber,
      senderId: user.id,
      senderName: user.name,
      body: bodyOf(0),
      createdAtMs: Date.now(),
    });
    await untilStored({ token, chatNumber, messageNumber: last });
  });

/** One sync after a message in each of some hundred chats, in ms. */
const syncMs = async ({ token, user }: Chat): Promise<number> => {
  await sendAll(SYNCED_CHATS, (index) => ({ token, chatNumber: 2 + index, user, index }));
  return timed(() => syncCounts({}, lambdaContext()));
};

const measureAll = async (chat: Chat): Promise<Times> => {
  const calls = readingCalls(chat, { before: await cursorAt(chat, DEPTH), words: RARE_WORD });
  const accept = { ...calls.newest, method: 'POST' as const, body: { body: bodyOf(7) } };
  const { query: _query, ...acceptCall } = accept;
  const of = await compare(
    {
      accept: () => callFunction(createMessage, acceptCall),
      'newest page': () => callFunction(listMessages, calls.newest),
      [`page at depth ${DEPTH.toLocaleString('en')}`]: () => callFunction(listMessages, calls.deep),
      'search, 20 matches': () => callFunction(searchMessages, calls.search),
    },
    TURNS,
  );
  const names = [
    'accept',
    'newest page',
    `page at depth ${DEPTH.toLocaleString('en')}`,
    'search, 20 matches',
  ];
  return {
    ...Object.fromEntries(names.map((name) => [name, 1_000 / of(name).perSecond])),
    [`persist ${PERSISTED.toLocaleString('en')}`]: await medianOf(() => persistMs(chat)),
    [`count sync of ${SYNCED_CHATS} chats`]: await medianOf(() => syncMs(chat)),
  };
};

/** The same work in a small cell and in a grown one. */
export const growth: Section = async ({ stack, api, report, options: { grownTo } }) => {
  const chat = await createChat();
  await fillChat(chat, 1);
  const http = connectApi(api, 1);
  /** @returns the times of all work after MySQL, the index and Redis have grown */
  const grow = async (firstChat: number, firstMessage: number, to: number): Promise<Times> => {
    await during(report, `loading up to ${to.toLocaleString('en')} chats`, () =>
      loadChats(chat, { from: firstChat, to }),
    );
    await during(report, `loading up to ${to.toLocaleString('en')} messages`, () =>
      loadMessages(chat, { from: firstMessage, to }),
    );
    await during(report, 'recovering the counters', () => flushRedis(stack.urls.REDIS_URL, http, chat));
    return during(report, 'measuring', () => measureAll(chat));
  };
  try {
    const small = await grow(2, 2, SMALL);
    // Measuring used some thousand numbers of the chat.
    const grown = await grow(SMALL + 1, 2 * SMALL + 1, grownTo);
    return Object.entries(grown).map(([name, ours]): Row => {
      const before = small[name] ?? Number.NaN;
      return {
        name: `${name}, ${grownTo.toLocaleString('en')} chats, as many messages in one`,
        unit: 'ms',
        ours,
        peer: { name: `with ${SMALL.toLocaleString('en')}`, value: before },
        ratio: ours / before,
        goal: { of: 'ratio', atMost: 1.5 },
      };
    });
  } finally {
    http.close();
  }
};
