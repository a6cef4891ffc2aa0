import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { isKnownError } from '#lib/domain/errors.ts';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';
import { promoteReplica, type RedisPair, startRedisCluster, untilClustered } from '../support/redis-nodes.ts';

const WRITERS = 4;

let pair: RedisPair;
let system: System;
let stopConsuming: () => Promise<void>;
let token: string;
let chatNumber: number;

beforeAll(async () => {
  pair = await startRedisCluster('faults-failover');
  system = await startSystem('faults-failover', {
    only: ['mysql', 'rabbitmq'],
    environment: { REDIS_URL: pair.servers[0].url, REDIS_KEY_PREFIX: '{chat}:' },
  });
});

afterAll(async () => {
  await system?.stop();
  await pair?.stop();
});

/** Consumers, and the recovery that refused writes ask for. */
const consumeAll = async () => {
  const stops = [await system.consume(), await system.consume('recover-counters')];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
};

beforeEach(async () => {
  stopConsuming = await consumeAll();
  token = await eventually(() => system.accept.application());
  chatNumber = await eventually(() => system.accept.chat(token));
  return () => stopConsuming();
});

/** Writes without end. `acknowledged`: the body by number, of each 200. */
const startWriting = () => {
  let isOver = false;
  let sent = 0;
  const acknowledged: { number: number; body: string }[] = [];
  const write = async () => {
    while (!isOver) {
      sent += 1;
      const body = `sent ${sent}`;
      try {
        acknowledged.push({ number: await system.accept.message(token, chatNumber, body), body });
      } catch (error) {
        if (!isKnownError(error, 'unavailable')) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, write);
  return {
    acknowledged,
    /** Until so many more have their 200. */
    more: async (count: number) => {
      const wanted = acknowledged.length + count;
      await eventually(() => expect(acknowledged.length).toBeGreaterThanOrEqual(wanted), 40_000);
    },
    end: async () => {
      isOver = true;
      await Promise.all(writers);
    },
  };
};

/** Nothing acknowledged is lost or has another's number, and no number is left out. */
const whole = async (acknowledged: readonly { number: number; body: string }[]) => {
  expect(new Set(acknowledged.map(({ number }) => number)).size).toBe(acknowledged.length);
  await eventually(() => system.invoke('relayOutbox', { olderThanSeconds: 0 }, 10_000));
  const highest = Math.max(...acknowledged.map(({ number }) => number));
  await eventually(async () => {
    const stored = await system.stored(token, chatNumber);
    expect(stored.length).toBeGreaterThanOrEqual(highest);
    expect(stored).toEqual(upTo(stored.length));
  });
  const places = acknowledged.map(({ number }) => ({ token, chatNumber, messageNumber: number }));
  const rows = await system.services.messages().find(places);
  const bodies = new Map(rows.map(({ messageNumber, body }) => [messageNumber, body]));
  for (const { number, body } of acknowledged) expect(bodies.get(number)).toBe(body);
  expect(JSON.stringify(await system.invoke('deadLetters'))).not.toContain('"id"');
};

/** Prints how long writes were refused; a measurement, not an expectation. */
const report = (what: string, sinceMs: number) =>
  console.info(`${what}: writes again after ${((performance.now() - sinceMs) / 1000).toFixed(1)} s`);

test('writes continue over a planned failover', { timeout: 90_000 }, async () => {
  const writing = startWriting();
  await writing.more(50);
  await promoteReplica(pair);
  const promotedAtMs = performance.now();
  await writing.more(1);
  report('failover', promotedAtMs);
  await writing.more(50);
  await writing.end();
  await whole(writing.acknowledged);
});

test('writes continue after the primary was killed and its replica took over', {
  timeout: 90_000,
}, async () => {
  await untilClustered(pair.servers);
  const { primary, replica } = await pair.roles();
  const writing = startWriting();
  await writing.more(50);
  primary.process.kill('SIGKILL');
  await replica.redis.cluster('FAILOVER', 'TAKEOVER');
  await eventually(async () => expect(await replica.redis.info('replication')).toContain('role:master'));
  const promotedAtMs = performance.now();
  await writing.more(WRITERS + 1);
  report('kill of the primary', promotedAtMs);
  await writing.more(50);
  await writing.end();
  await primary.process.start();
  await whole(writing.acknowledged);
});
