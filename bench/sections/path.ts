import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { publisher } from '#lib/runtime/services/rabbitmq.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Stack } from '../../local/services/index.ts';
import { countConnections, residentMb } from '../connections.ts';
import { bodyOf, type Chat, createChat, fillChat, indexContents } from '../conversation.ts';
import { median, percentile } from '../measure.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';

const WARM_UP = 4_000;
const LIMIT_MESSAGES = 8_000;
const PART_OF_LIMIT = 0.8;
const SAMPLE_MS = 500;
/** The first 20 s fill windows and compile code; later samples may not be higher. */
const SETTLED_AFTER_MS = 20_000;
const COMPARED_MS = 5_000;
const ARRIVAL_RATE = 200;
const ARRIVAL_SECONDS = 8;
const PROBE_MS = 50;
/** Garbage collection changes memory by up to this factor. */
const MEMORY_SLACK = 1.1;

/** Accepts messages at a steady rate, without waiting for earlier answers. */
const sendSteadily = async (
  { token, chatNumber, user }: Chat,
  { perSecond, count }: { perSecond: number; count: number },
  onAccepted: (messageNumber: number) => void = () => undefined,
): Promise<void> => {
  const startedAt = performance.now();
  const sent: Promise<void>[] = [];
  for (let index = 0; index < count; index += 1) {
    const waitMs = startedAt + (index * 1_000) / perSecond - performance.now();
    if (waitMs > 1) await delay(waitMs);
    const message = {
      token,
      chatNumber,
      senderId: user.id,
      sender: user.handle,
      senderName: user.name,
      body: bodyOf(index),
      createdAtMs: Date.now(),
    };
    sent.push(submit()(createMessageCommand, message).then(onAccepted));
  }
  await Promise.all(sent);
};

/** From the acceptance of each message after `first` until `findAfter` reports it, in ms. */
const watchArrivals = async (
  acceptedAt: ReadonlyMap<number, number>,
  { first, count }: { first: number; count: number },
  findAfter: (messageNumber: number) => Promise<number[]>,
): Promise<number[]> => {
  const seenAt = new Map<number, number>();
  for (let upTo = first; seenAt.size < count; await delay(PROBE_MS)) {
    for (const number of await findAfter(upTo))
      if (!seenAt.has(number)) seenAt.set(number, performance.now());
    while (seenAt.has(upTo + 1)) upTo += 1;
  }
  return [...seenAt].map(([number, at]) => Math.max(0, at - (acceptedAt.get(number) ?? at)));
};

const arrivalRows = async (): Promise<Row[]> => {
  const chat = await createChat();
  const { token, chatNumber } = chat;
  const count = ARRIVAL_RATE * ARRIVAL_SECONDS;
  // The chat is stored then. Messages that come before their chat wait for it in the queue of deferred commands.
  const first = 1;
  await fillChat(chat, first);
  const acceptedAt = new Map<number, number>();
  const stored = watchArrivals(acceptedAt, { first, count }, async (after) => {
    const wanted = Array.from({ length: 200 }, (_, i) => ({
      token,
      chatNumber,
      messageNumber: after + 1 + i,
    }));
    return (await messages().find(wanted)).map(({ messageNumber }) => messageNumber);
  });
  const indexed = watchArrivals(acceptedAt, { first, count }, async (afterNumber) => {
    const found = await indexContents().listVersions({ token, chatNumber, afterNumber, limit: 2_000 });
    return found.map(({ messageNumber }) => messageNumber);
  });
  await sendSteadily(chat, { perSecond: ARRIVAL_RATE, count }, (number) =>
    acceptedAt.set(number, performance.now()),
  );
  const rows = (name: string, lags: readonly number[], atMostMs?: number): Row[] => [
    { name: `${name}, ${ARRIVAL_RATE} a second, p50`, unit: 'ms', ours: median(lags) },
    {
      name: `${name}, ${ARRIVAL_RATE} a second, p99`,
      unit: 'ms',
      ours: percentile(lags, 0.99),
      ...(atMostMs === undefined ? {} : { goal: { of: 'ours', atMost: atMostMs } }),
    },
  ];
  return [
    ...rows('accepted until stored', await stored),
    ...rows('accepted until found', await indexed, 1_500),
  ];
};

type State = { atMs: number; outboxes: number; queues: number; redisMb: number; functionsMb: number };

const sampler = (stack: Stack) => {
  const redis = new Redis(stack.urls.REDIS_URL);
  const keys = createKeys(process.env.REDIS_KEY_PREFIX);
  const queues = ['create-message', 'index-message'];
  return {
    read: async (startedAt: number): Promise<State> => {
      const [commands, unindexed, depths, memory] = await Promise.all([
        redis.xlen(keys.outbox('create-message')),
        redis.zcard(keys.indexOutbox),
        Promise.all(queues.map((queue) => publisher().depth(queue))),
        redis.info('memory'),
      ]);
      return {
        atMs: performance.now() - startedAt,
        outboxes: commands + unindexed,
        queues: depths.reduce((sum, { ready }) => sum + ready, 0),
        redisMb: Number(/used_memory:(\d+)/.exec(memory)?.[1]) / 1_048_576,
        functionsMb: residentMb(process.pid, stack),
      };
    },
    close: () => redis.disconnect(),
  };
};

/** Loads the whole path steadily. @returns pending writes and memory, after the first 20 s and at the end */
const steadyRows = async (stack: Stack, perSecond: number, seconds: number): Promise<Row[]> => {
  const chat = await createChat();
  const sample = sampler(stack);
  const states: State[] = [];
  const startedAt = performance.now();
  let isOver = false;
  const sampling = (async () => {
    for (; !isOver; await delay(SAMPLE_MS)) states.push(await sample.read(startedAt));
  })();
  await sendSteadily(chat, { perSecond, count: Math.round(perSecond * seconds) }).finally(() => {
    isOver = true;
  });
  await sampling;
  sample.close();
  const endMs = states.at(-1)?.atMs ?? 0;
  const inWindow = (untilMs: number, of: (state: State) => number) =>
    median(states.filter(({ atMs }) => atMs > untilMs - COMPARED_MS && atMs <= untilMs).map(of));
  const row = (name: string, unit: Row['unit'], of: (state: State) => number, floor: number): Row => {
    const [early, late] = [inWindow(SETTLED_AFTER_MS, of), inWindow(endMs, of)];
    return {
      name: `whole path at 80 %, ${seconds} s: ${name}`,
      unit,
      ours: late,
      peer: { name: 'after 20 s', value: early },
      ratio: late / Math.max(early, floor),
      goal: { of: 'ratio', atMost: MEMORY_SLACK },
    };
  };
  // The messages of one second are always pending somewhere, so fewer are no backlog.
  return [
    row('outboxes', '', ({ outboxes }) => outboxes, perSecond),
    row('queues', '', ({ queues }) => queues, perSecond),
    row('Redis memory', 'MB', ({ redisMb }) => redisMb, 1),
    row('memory of functions and bench', 'MB', ({ functionsMb }) => functionsMb, 1),
  ];
};

/** From the acceptance to the index: the limit, the lag, and the backlog of a steady load. */
export const path: Section = async ({ stack, report, options }) => {
  await during(report, 'warming the servers up', async () => fillChat(await createChat(), WARM_UP));
  const chat = await createChat();
  const startedAt = performance.now();
  await during(report, 'finding the limit of the whole path', () => fillChat(chat, LIMIT_MESSAGES));
  const limit = (LIMIT_MESSAGES * 1_000) / (performance.now() - startedAt);
  const arrivals = await during(report, `accepting ${ARRIVAL_RATE} a second`, arrivalRows);
  const steady = await during(report, `accepting at 80 % of the limit for ${options.steadySeconds} s`, () =>
    steadyRows(stack, PART_OF_LIMIT * limit, options.steadySeconds),
  );
  const connections = Object.entries(countConnections(stack)).map(
    ([server, count]): Row => ({ name: `connections to ${server}, API and bench`, unit: '', ours: count }),
  );
  return [
    { name: 'whole path, until the index has all', unit: '/s', ours: limit },
    ...arrivals,
    ...steady,
    ...connections,
  ];
};
