import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Api, connectApi } from '../../local/demo/api.ts';
import { Failure } from '../../local/services/index.ts';
import { type Chat, createChat, fillChat, untilTrue } from '../conversation.ts';
import { loadChats } from '../load.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';

const DOWN_MS = 1_000;
const POLL_MS = 25;
/** Writes in a row that must succeed: one alone could be the last before a gate closes. */
const STEADY = 10;
const GIVE_UP_MS = 120_000;

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

/** Empties Redis. Every counter is then read from MySQL again. @returns seconds until writes are taken */
export const flushRedis = async (url: string, http: Api, chat: Chat): Promise<number> => {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
  return secondsUntilWritable(http, chat);
};

/** How soon writes are taken after Redis lost everything, and after it was killed and kept everything. */
export const heal: Section = async ({ stack, api, report, options: { chats } }) => {
  const chat = await createChat();
  await fillChat(chat, 100);
  await during(report, `loading ${chats.toLocaleString('en')} chats`, () =>
    loadChats(chat, { from: 2, to: chats }),
  );
  const http = connectApi(api, 1);
  const server = stack.services.redis;
  if (server === undefined) throw new Failure('There is no Redis to kill');
  try {
    const flushed = await during(report, 'healing after FLUSHALL', () =>
      flushRedis(stack.urls.REDIS_URL, http, chat),
    );
    const redis = new Redis(stack.urls.REDIS_URL);
    await during(report, 'waiting for the counters', () =>
      untilTrue('The counters are not recovered', async () => (await redis.dbsize()) > chats),
    );
    redis.disconnect();
    const killed = await during(report, 'healing after kill -9', async () => {
      server.kill('SIGKILL');
      await delay(DOWN_MS);
      await server.start();
      return secondsUntilWritable(http, chat);
    });
    const row = (name: string, ours: number, atMost: number): Row => ({
      name: `${name}, ${chats.toLocaleString('en')} chats, until writes are taken`,
      unit: 's',
      ours,
      goal: { of: 'ours', atMost },
    });
    return [row('kill -9 of a durable Redis', killed, 5), row('FLUSHALL', flushed, 10)];
  } finally {
    http.close();
  }
};
