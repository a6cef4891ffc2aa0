import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';
import { type ServerVariable, type Swallowing, swallowing } from '../support/swallowing.ts';

/* Consumers in one environment, behind a network that loses their connections without a word. */

let network: Swallowing;
let system: System;
let token: string;
let chatNumber: number;

beforeAll(async () => {
  system = await startSystem('faults-vanished-consumers', {
    environment: async (urls) => {
      network = await swallowing(urls);
      return network.urls;
    },
  });
  await system.consume();
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
}, 240_000);

afterAll(async () => {
  await system?.stop();
  await network?.close();
});

/** In MySQL and in the index, and gone from every outbox. */
const settled = (count: number) =>
  eventually(async () => {
    // A publish without a confirm is answered all the same: the schedule publishes it again.
    await system.invoke('relayOutbox', { olderThanSeconds: 3, againAfterSeconds: 3 }, 5_000);
    expect(await system.stored(token, chatNumber)).toEqual(upTo(count));
    const depths = Object.entries(await system.depths());
    const served = depths.filter(([queue]) => queue !== 'index-message' || system.stack.urls.OPENSEARCH_URL);
    expect(served.filter(([, depth]) => depth > 0)).toEqual([]);
  }, 60_000);

let count = 0;
const send = async () => {
  await system.accept.messages(token, chatNumber, 3);
  count += 3;
  await settled(count);
};

test.for<ServerVariable>(['REDIS_URL', 'MYSQL_URL', 'RABBITMQ_URL', 'OPENSEARCH_URL'])(
  'connections to %s vanish: the next batch is redelivered once at most',
  { timeout: 150_000 },
  async (variable, { skip }) => {
    skip(system.stack.urls[variable] === undefined, 'no such server on this machine');
    await send();
    const failures = () => system.failures('create-message') + system.failures('index-message');
    const before = failures();
    expect(network.swallow(variable)).toBeGreaterThan(0);
    await send();
    expect(failures() - before).toBeLessThanOrEqual(1);
  },
);
