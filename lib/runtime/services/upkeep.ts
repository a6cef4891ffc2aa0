import { acceptedQueues, queueNames } from '#lib/contracts/commands/all.ts';
import { RETRY_DELAY_MS } from '#lib/rabbitmq/topology.ts';
import { eraseAccounts } from '#lib/upkeep/account-erasure.ts';
import { deleteChatsOfApplications, eraseChats, unindexChats } from '#lib/upkeep/erase-items.ts';
import { createErasure } from '#lib/upkeep/erasure.ts';
import { createLettersOfDeleted, discardLettersOfDeleted } from '#lib/upkeep/letters.ts';
import { createReconcile } from '#lib/upkeep/reconcile.ts';
import { createReindex } from '#lib/upkeep/reindex.ts';
import { createRelay } from '#lib/upkeep/relay.ts';
import { createSystemStatus } from '#lib/upkeep/system-status.ts';
import { lazy } from '../lazy.ts';
import { chats, deletedItems, messages, users } from './mysql.ts';
import { indexScan, messageIndex } from './opensearch.ts';
import { deadLetters, publisher } from './rabbitmq.ts';
import { deletedMessages, gate, outbox, recentMessages } from './redis.ts';
import { maxDeferrals, now } from './settings.ts';
import { indexing, settles } from './writing.ts';

export const relay = /* @__PURE__ */ lazy(() =>
  createRelay({
    outbox: outbox(),
    publisher: publisher(),
    messages: messages(),
    settles: settles(),
    queues: acceptedQueues,
    // Each attempt takes longer than the delay, at most twice as long.
    longestDeferralMs: 2 * maxDeferrals() * RETRY_DELAY_MS,
    now: now(),
  }),
);
export const systemStatus = /* @__PURE__ */ lazy(() =>
  createSystemStatus({
    publisher: publisher(),
    outbox: outbox(),
    gate: gate(),
    commandQueues: acceptedQueues,
    queues: queueNames,
    now: now(),
  }),
);
export const lettersOfDeleted = /* @__PURE__ */ lazy(() =>
  createLettersOfDeleted({ chats: chats(), messages: messages(), deletedMessages: deletedMessages() }),
);
/** Every step of the erasure. Each runs beside the others, slice by slice. */
export const erasure = /* @__PURE__ */ lazy(() =>
  createErasure(
    [
      discardLettersOfDeleted({
        deadLetters: deadLetters(),
        lettersOfDeleted: lettersOfDeleted(),
        publisher: publisher(),
        gate: gate(),
        now: now(),
      }),
      deleteChatsOfApplications({ deletedItems: deletedItems(), now: now() }),
      eraseChats({ deletedItems: deletedItems(), recentMessages: recentMessages(), now: now() }),
      unindexChats({ deletedItems: deletedItems(), messageIndex: messageIndex(), now: now() }),
      eraseAccounts({
        users: users(),
        messages: messages(),
        settles: settles(),
        indexing: indexing(),
        now: now(),
      }),
    ],
    { now: now() },
  ),
);
export const reindex = /* @__PURE__ */ lazy(() =>
  createReindex({ messages: messages(), messageIndex: messageIndex(), now: Date.now }),
);
export const reconcile = /* @__PURE__ */ lazy(() =>
  createReconcile({
    messages: messages(),
    messageIndex: messageIndex(),
    indexScan: indexScan(),
    publisher: publisher(),
    now: Date.now,
  }),
);
