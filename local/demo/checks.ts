import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { runFunction } from '../emulation/run-function.ts';
import { Failure, type Report, type Urls } from '../services/index.ts';
import { compareChat, type Difference, differs, isNumberedInOrder, noDifference } from './comparison.ts';
import { count, during } from './progress.ts';
import type { Conversation } from './sending.ts';
import type { Counts, MysqlStore, Store } from './stores.ts';

/** A store without a new message for this long is considered stalled. */
const STALLED_MS = 90_000;
/** Waits until a store holds the wanted number of messages. @returns the time by performance.now() */
export const untilStored = (store: Store, wanted: number, report: Report): Promise<number> =>
  during(report, `waiting for ${store.name}`, async (detail) => {
    const begunAt = performance.now();
    let last = -1;
    let movedAt = begunAt;
    for (;;) {
      const stored = await store.count();
      const nowMs = performance.now();
      if (stored >= wanted) return { outcome: `${store.name} holds all ${count(wanted)}`, result: nowMs };
      if (stored !== last) movedAt = nowMs;
      last = stored;
      if (nowMs - movedAt > STALLED_MS) {
        throw new Failure(
          `${store.name} holds ${count(stored)} of ${count(wanted)} messages, and none was added for ${STALLED_MS / 1000} s. Do the consumers run, and is it the ${store.name} that the API uses?`,
        );
      }
      detail(`${count(stored)} of ${count(wanted)}`);
      await delay(50);
    }
  });

/** Compares a store with all accepted messages. Waits up to 30 s for the last edit to arrive. */
const compare = async (store: Store, { chats }: Conversation): Promise<Difference> => {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const difference = noDifference();
    for (const { chatNumber, accepted } of chats)
      compareChat(
        difference,
        `${store.name}, chat ${chatNumber}`,
        accepted,
        await store.messages(chatNumber),
      );
    if (!differs(difference) || performance.now() > deadline) return difference;
    await delay(1_000);
  }
};

type Servers = { services: Urls; environment: NodeJS.ProcessEnv };

/** Runs syncCounts once, as its schedule does every minute. */
const syncCounts = async ({ environment, services }: Servers): Promise<void> => {
  // The configuration requires a secret, but this function issues and reads no token.
  const secret = randomBytes(32).toString('hex');
  await runFunction({
    name: 'scheduled/sync-counts',
    environment: { ...environment, JWT_SECRET: secret, ...services },
  });
};

/** What the API accepted, compared with its stores. */
export type Check = { numbered: boolean; counts: Counts; countsAgree: boolean; differences: Difference[] };

export const checkStores = async (
  conversation: Conversation,
  mysql: MysqlStore,
  stores: readonly Store[],
  servers: Servers,
  report: Report,
): Promise<Check> => {
  const { chats } = conversation;
  await during(report, 'syncing the counts', async () => {
    await syncCounts(servers);
    return { outcome: 'synced the counts', result: undefined };
  });
  const counts = await mysql.counts();
  const countsAgree =
    counts.chatsCount === chats.length &&
    counts.messagesCounts.length === chats.length &&
    chats.every(({ accepted }, index) => counts.messagesCounts[index] === accepted.length);
  const differences = await Promise.all(
    stores.map((store) =>
      during(report, `comparing with ${store.name}`, async () => ({
        outcome: `compared with ${store.name}, every message`,
        result: await compare(store, conversation),
      })),
    ),
  );
  return {
    numbered: chats.every(({ accepted }) => isNumberedInOrder(accepted)),
    counts,
    countsAgree,
    differences,
  };
};
