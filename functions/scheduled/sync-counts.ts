import * as z from 'zod';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Count, Counters, DirtyKind } from '#lib/redis/counters.ts';
import { applications, chats, counters, now } from '#lib/runtime/services.ts';

type Uses = {
  applications: Pick<Applications, 'raiseChatsCounts'>;
  chats: Pick<Chats, 'raiseMessagesCounts'>;
  counters: Pick<Counters, 'dirty' | 'clean'>;
  now: () => number;
};

const BATCH = 500;
const schema = z.object({});

/**
 * Brings the counts in MySQL up to the counters that moved since the last time. A mark goes only after its count is
 * written, and only if the counter has not moved since: a crash half way loses none, and repeats a few.
 * What is not stored yet keeps its mark for the next time.
 */
export const syncCounts = async (
  { remainingMs }: Pick<Run<unknown>, 'remainingMs'>,
  { applications, chats, counters, now }: Uses,
) => {
  // What moves while this runs is for the next time: a chat that never rests must not hold the others up.
  const until = now();
  const sync = async <Of extends Count>(
    kind: DirtyKind,
    isOf: (count: Count) => count is Of,
    raise: (counts: Of[]) => Promise<Of[]>,
  ) => {
    let synced = 0;
    let skipped = 0;
    while (remainingMs() > 0) {
      const batch = await counters.dirty(kind, { until, skip: skipped, count: BATCH });
      if (batch.length === 0) break;
      const written = await raise(batch.filter(isOf));
      await counters.clean(kind, written);
      synced += written.length;
      skipped += batch.length - written.length;
    }
    return { synced, skipped };
  };
  const isOfApplication = (count: Count): count is Count => true;
  const isOfChat = (count: Count): count is Count & { chatNumber: number } => count.chatNumber !== undefined;
  const ofApplications = await sync('applications', isOfApplication, applications.raiseChatsCounts);
  const ofChats = await sync('chats', isOfChat, chats.raiseMessagesCounts);
  return {
    applications: ofApplications.synced,
    chats: ofChats.synced,
    notStoredYet: ofApplications.skipped + ofChats.skipped,
  };
};

export const handler = jobHandler(schema, syncCounts, { applications, chats, counters, now });
