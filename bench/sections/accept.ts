import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { accessTokens } from '#lib/runtime/services/auth.ts';
import { tokenCheck } from '#lib/runtime/services/reading.ts';
import { rateLimits } from '#lib/runtime/services/redis.ts';
import { handler } from '../../functions/http/messages/create-message.ts';
import { bodyOf, type Chat, createChat } from '../conversation.ts';
import { openRawAccept } from '../fixtures/raw-accept.ts';
import { type Call, callFunction, pathOf } from '../function-call.ts';
import { openHttpClient } from '../http-client.ts';
import { compare, takeTurn } from '../measure.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';

const IN_FLIGHT = [1, 10, 50, 200];
/** The goals apply from this number of concurrent requests on. */
const BUSY = 50;
const TURN_MS = 800;
const ROUNDS = 5;
const UNCACHED_TOKENS = 2_000;

const callMaker = ({ token, chatNumber, authorization }: Chat) => {
  let index = 0;
  return (): Call => {
    index += 1;
    return {
      method: 'POST',
      route: '/applications/{token}/chats/{chatNumber}/messages',
      path: { token, chatNumber: String(chatNumber) },
      authorization,
      body: { body: bodyOf(index) },
    };
  };
};

/** The handler behind a plain `node:http` server, in a process of its own. */
const startBareServer = async (): Promise<{ url: URL; child: ChildProcess }> => {
  const child = fork(join(import.meta.dirname, '../fixtures/bare-server.ts'));
  const [port] = await once(child, 'message');
  return { url: new URL(`http://127.0.0.1:${port}`), child };
};

const rowsInProcess = async (nextCall: () => Call, urls: { redis: string; rabbitmq: string }) => {
  const raw = await openRawAccept(urls);
  const works = {
    raw: () => raw.accept(JSON.stringify(nextCall().body)),
    handler: () => callFunction(handler, nextCall()),
  };
  const rows: Row[] = [];
  try {
    for (const inFlight of IN_FLIGHT) {
      const of = await compare(works, { inFlight, turnMs: TURN_MS, rounds: ROUNDS });
      const [ours, peer, isBusy] = [of('handler'), of('raw'), inFlight >= BUSY];
      const name = `accept, handler in process, ${inFlight} in flight`;
      rows.push(
        {
          name,
          unit: '/s',
          ours: ours.perSecond,
          peer: { name: 'raw script and publish', value: peer.perSecond },
          ratio: ours.ratioTo('raw'),
          ...(isBusy ? { goal: { of: 'ratio', atLeast: 0.65 } } : {}),
        },
        {
          name: `${name}: Node CPU`,
          unit: 'µs',
          ours: ours.cpuMicros,
          peer: { name: 'raw script and publish', value: peer.cpuMicros },
          ...(isBusy ? { goal: { of: 'ours', atMost: 150 } } : {}),
        },
      );
    }
  } finally {
    await raw.close();
  }
  return rows;
};

const rowBehindServer = async (nextCall: () => Call): Promise<Row> => {
  const { url, child } = await startBareServer();
  const http = await openHttpClient(url, BUSY);
  try {
    const of = await compare(
      {
        handler: () => callFunction(handler, nextCall()),
        server: () => {
          const call = nextCall();
          return http.call({ ...call, path: pathOf(call) });
        },
      },
      { inFlight: BUSY, turnMs: TURN_MS, rounds: ROUNDS },
    );
    return {
      name: `accept, behind a bare node:http server, ${BUSY} in flight`,
      unit: '/s',
      ours: of('server').perSecond,
      peer: { name: 'handler in process', value: of('handler').perSecond },
      ratio: of('server').ratioTo('handler'),
      goal: { of: 'ratio', atLeast: 0.7 },
    };
  } finally {
    http.close();
    child.kill();
  }
};

/** The parts of an accept that no user sees separately. */
const rowsOfParts = async ({ user }: Chat, secret: string): Promise<Row[]> => {
  const { accessToken } = await accessTokens().issue(user);
  const issued = await Promise.all(Array.from({ length: UNCACHED_TOKENS }, () => accessTokens().issue(user)));
  const fresh = createAccessTokens([secret]);
  const cpuBefore = process.cpuUsage();
  for (const { accessToken: other } of issued) await fresh.verify(other);
  const { user: userMicros, system } = process.cpuUsage(cpuBefore);
  const cached = await takeTurn(() => accessTokens().verify(accessToken), { inFlight: 1, turnMs: TURN_MS });
  const caller = { id: user.id, generation: 0 };
  const of = await compare(
    {
      limit: async () => rateLimits().take('writes', String(user.id))?.quota,
      check: () => tokenCheck()(caller),
    },
    { inFlight: BUSY, turnMs: TURN_MS, rounds: ROUNDS },
  );
  return [
    {
      name: 'token verification, cached: Node CPU',
      unit: 'µs',
      ours: cached.cpuMicros,
      peer: { name: 'not cached', value: (userMicros + system) / UNCACHED_TOKENS },
    },
    { name: `rate limit, ${BUSY} in flight: Node CPU`, unit: 'µs', ours: of('limit').cpuMicros },
    {
      name: `check of a token, ${BUSY} in flight: Node CPU`,
      unit: 'µs',
      ours: of('check').cpuMicros,
      goal: { of: 'ours', atMost: 3 },
    },
  ];
};

/** Accepting a message in one process, against a plain script and a confirmed publish. */
export const accept: Section = async ({ stack, report }) => {
  const chat = await createChat();
  const nextCall = callMaker(chat);
  const urls = { redis: stack.urls.REDIS_URL, rabbitmq: stack.urls.RABBITMQ_URL };
  const rows = await during(report, 'accepting in process', () => rowsInProcess(nextCall, urls));
  const behindServer = await during(report, 'accepting behind a server', () => rowBehindServer(nextCall));
  const parts = await during(report, 'parts of an accept', () =>
    rowsOfParts(chat, process.env.JWT_SECRET ?? ''),
  );
  return [...rows, behindServer, ...parts];
};
