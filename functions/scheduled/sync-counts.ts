import * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Count, Counters, DirtyKind } from '#lib/redis/gate/counters.ts';
import { applications, chats } from '#lib/runtime/services/mysql.ts';
import { counters } from '#lib/runtime/services/redis.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  applications: Pick<Applications, 'raiseChatsCounts'>;
  chats: Pick<Chats, 'raiseMessagesCounts'>;
  counters: Pick<Counters, 'dirty' | 'clean'>;
  now: () => number;
};

const BATCH = 500;
const schema = z.object({});

/**
 * Raises the counts in MySQL to the counters that changed since the last run. A mark is removed after its
 * count was written, and only if the counter has not changed since. A crash therefore loses no count and
 * repeats a few. Counters of items that MySQL does not have yet keep their mark for the next run.
 */
export const syncCounts = async (
  { remainingMs }: Pick<Job, 'remainingMs'>,
  { applications, chats, counters, now }: Uses,
) => {
  // Changes during this run are left for the next one, so that a busy chat does not delay the others.
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
