import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { MessageReference } from '#lib/domain/reference.ts';
import { gate } from '#lib/runtime/services/redis.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import { type Api, connectApi } from '../../local/demo/api.ts';
import { Failure } from '../../local/services/index.ts';
import { type Chat, createChat, fillChat, sendAll, untilStored, untilTrue } from '../conversation.ts';
import { loadChats } from '../load.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';

const DOWN_MS = 1_000;
const POLL_MS = 25;
/** Writes in a row that must succeed: one alone could be the last before a gate closes. */
const STEADY = 10;
const GIVE_UP_MS = 120_000;
const BACKLOG = 30_000;
const KILL = 'kill -9 of a durable Redis';
const KILL_AT_MOST_S = 5;
const FLUSH = 'FLUSHALL';
const FLUSH_AT_MOST_S = 10;

/** Writes until `STEADY` writes in a row succeed. @returns seconds from now until the first of them */
export const secondsUntilWritable = async (http: Api, { token, chatNumber, authorization }: Chat) => {
  const startedAt = performance.now();
  const path = `/applications/${token}/chats/${chatNumber}/messages`;
  let firstAt: number | undefined;
  for (let inARow = 0; inARow < STEADY; await delay(POLL_MS)) {
    const answer = await http
      .once({ method: 'POST', path, authorization, body: { body: 'Is it up?' } })
      .catch(() => undefined);
    if (answer?.status === 200) {
      firstAt ??= performance.now();
      inARow += 1;
    } else {
      firstAt = undefined;
      inARow = 0;
    }
    if (performance.now() - startedAt > GIVE_UP_MS)
      throw new Failure(`No write succeeded for ${GIVE_UP_MS / 1_000} s: ${answer?.status} ${answer?.text}`);
  }
  return ((firstAt ?? Number.NaN) - startedAt) / 1_000;
};

/** Empties Redis. Every counter is then read from MySQL again. @returns seconds until writes are accepted */
export const flushRedis = async (url: string, http: Api, chat: Chat): Promise<number> => {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
  return secondsUntilWritable(http, chat);
};

/** Settles when all counters are verified. Until then a walk through them takes processor time. */
export const untilVerified = (): Promise<void> =>
  untilTrue('The counters are not verified', async () => (await gate().status()).verifying === undefined);

type Healing = { writableS: number; storedS: number };

/** Accepts commands while the table is locked against inserts, so that they all wait. @returns the last one's place */
const fillQueue = async ({ token, chatNumber, user }: Chat, count: number): Promise<MessageReference> => {
  const connection = await createConnection({ uri: process.env.MYSQL_URL ?? '' });
  try {
    await connection.query('LOCK TABLES messages READ');
    await sendAll(count, (index) => ({ token, chatNumber, user, index }));
    const last = {
      token,
      chatNumber,
      senderId: user.id,
      sender: user.handle,
      senderName: user.name,
      createdAtMs: Date.now(),
    };
    const messageNumber = await submit()(createMessageCommand, { ...last, body: 'The last that waits' });
    return { token, chatNumber, messageNumber };
  } finally {
    await connection.end();
  }
};

/** The time until writes are accepted after Redis lost everything, and after a kill without a loss. */
export const heal: Section = async ({ stack, api, report, options: { chats } }) => {
  const chat = await createChat();
  await fillChat(chat, 100);
  const chatsText = `${chats.toLocaleString('en')} chats`;
  await during(report, `loading ${chatsText}`, () => loadChats(chat, { from: 2, to: chats }));
  const http = connectApi(api, 1);
  const server = stack.services.redis;
  if (server === undefined) throw new Failure('There is no Redis to kill');

  const flush = () => flushRedis(stack.urls.REDIS_URL, http, chat);
  const kill = async () => {
    server.kill('SIGKILL');
    await delay(DOWN_MS);
    await server.start();
    return secondsUntilWritable(http, chat);
  };
  const untilCountersRecovered = async () => {
    const redis = new Redis(stack.urls.REDIS_URL);
    try {
      await untilTrue('The counters are not recovered', async () => (await redis.dbsize()) > chats);
    } finally {
      redis.disconnect();
    }
  };
  const withBacklog = async (fault: () => Promise<number>): Promise<Healing> => {
    const last = await fillQueue(chat, BACKLOG);
    const startedAt = performance.now();
    const stored = untilStored(last).then(() => (performance.now() - startedAt) / 1_000);
    const [writableS, storedS] = await Promise.all([fault(), stored]);
    return { writableS, storedS };
  };
  const row = (fault: string, writableS: number, atMost: number): Row => ({
    name: `${fault}, ${chatsText}, until writes are accepted`,
    unit: 's',
    ours: writableS,
    goal: { of: 'ours', atMost },
  });
  // Guarantee 9: a backlog adds the time to persist it.
  const rowWithBacklog = (fault: string, { writableS, storedS }: Healing, atMost: number): Row => ({
    ...row(`${fault}, ${BACKLOG.toLocaleString('en')} waiting commands`, writableS, atMost + storedS),
    peer: { name: 'until they are stored', value: storedS },
  });
  try {
    const flushed = await during(report, 'healing after FLUSHALL', flush);
    await during(report, 'waiting for the counters', untilCountersRecovered);
    const killed = await during(report, 'healing after kill -9', kill);
    const killedBusy = await during(report, 'healing after kill -9 with a backlog', () => withBacklog(kill));
    const flushedBusy = await during(report, 'healing after FLUSHALL with a backlog', () =>
      withBacklog(flush),
    );
    return [
      row(KILL, killed, KILL_AT_MOST_S),
      row(FLUSH, flushed, FLUSH_AT_MOST_S),
      rowWithBacklog(KILL, killedBusy, KILL_AT_MOST_S),
      rowWithBacklog(FLUSH, flushedBusy, FLUSH_AT_MOST_S),
    ];
  } finally {
    http.close();
  }
};
