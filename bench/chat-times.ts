import { handler as createMessage } from '../functions/http/messages/create-message.ts';
import { handler as getMessage } from '../functions/http/messages/get-message.ts';
import { handler as listMessages } from '../functions/http/messages/list-messages.ts';
import { handler as searchMessages } from '../functions/http/messages/search-messages.ts';
import { handler as syncCounts } from '../functions/scheduled/sync-counts.ts';
import { bodyOf, type Chat, send, sendAll, untilStored } from './conversation.ts';
import { type Call, callFunction, lambdaContext } from './function-call.ts';
import { RARE_WORD } from './load.ts';
import { compare, median, type Work } from './measure.ts';
import type { Row } from './row.ts';
import { cursorAt, readingCalls } from './sections/http.ts';

const DEPTH = 9_000;
/** The number of a message that no window holds. */
const OLD = 5;
const TURNS = { inFlight: 1, turnMs: 400, rounds: 5 };
const PERSISTED = 1_000;
const SYNCED_CHATS = 300;
/** The highest number of a chat that is measured. */
export const LAST_CHAT = 1 + SYNCED_CHATS;
const ROUNDS = 3;

/** Milliseconds for each work. */
export type Times = Record<string, number>;

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
const persistMs = (chat: Chat): Promise<number> =>
  timed(async () => {
    await sendAll(PERSISTED, (index) => ({ ...chat, index }));
    const messageNumber = await send({ ...chat, index: PERSISTED });
    await untilStored({ ...chat, messageNumber });
  });

/** One sync after a message in each of some hundred chats, in ms. */
const syncMs = async (chat: Chat): Promise<number> => {
  await sendAll(SYNCED_CHATS, (index) => ({ ...chat, chatNumber: 2 + index, index }));
  return timed(() => syncCounts({}, lambdaContext()));
};

/** The times of reading, accepting, persisting and counting in one chat. Its application has at least `LAST_CHAT` chats. */
export const measureChat = async (chat: Chat): Promise<Times> => {
  const calls = readingCalls(chat, { before: await cursorAt(chat, DEPTH), words: RARE_WORD });
  const { query: _query, ...list } = calls.newest;
  const accept: Call = { ...list, method: 'POST', body: { body: bodyOf(7) } };
  const works: Record<string, Work> = {
    accept: () => callFunction(createMessage, accept),
    'newest page': () => callFunction(listMessages, calls.newest),
    [`page at depth ${DEPTH.toLocaleString('en')}`]: () => callFunction(listMessages, calls.deep),
    'message, old': () => callFunction(getMessage, calls.message(OLD)),
    'search, 20 matches': () => callFunction(searchMessages, calls.search),
  };
  const of = await compare(works, TURNS);
  return {
    ...Object.fromEntries(Object.keys(works).map((name) => [name, 1_000 / of(name).perSecond])),
    [`persist ${PERSISTED.toLocaleString('en')}`]: await medianOf(() => persistMs(chat)),
    [`count sync of ${SYNCED_CHATS} chats`]: await medianOf(() => syncMs(chat)),
  };
};

type Measured = { what: string; times: Times };

/** A row for each work: its time among much data, over its time among little. */
export const timeRows = (grown: Measured, small: Measured): Row[] =>
  Object.entries(grown.times).map(([name, ours]) => {
    const before = small.times[name] ?? Number.NaN;
    return {
      name: `${name}, ${grown.what}`,
      unit: 'ms',
      ours,
      peer: { name: small.what, value: before },
      ratio: ours / before,
      goal: { of: 'ratio', atMost: 1.5 },
    };
  });
