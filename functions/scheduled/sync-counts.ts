import * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { limits } from '#lib/domain/limits.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { ReadMarkers } from '#lib/mysql/read-markers.ts';
import type { Count, Counters, DirtyKind } from '#lib/redis/gate/counters.ts';
import type { Markers } from '#lib/redis/window/read-markers.ts';
import { applications, chats, readMarkers } from '#lib/runtime/services/mysql.ts';
import { counters, markers } from '#lib/runtime/services/redis.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  applications: Pick<Applications, 'raiseChatsCounts'>;
  chats: Pick<Chats, 'raiseMessagesCounts'>;
  counters: Pick<Counters, 'dirty' | 'clean'>;
  markers: Pick<Markers, 'dirty' | 'clean'>;
  readMarkers: Pick<ReadMarkers, 'raise'>;
  now: () => number;
};

const BATCH = 500;
const schema = z.object({});

type Range = { until: number; skip: number; count: number };
/** Values in Redis that changed since the last sync. */
type Changed<One> = {
  dirty: (range: Range) => Promise<One[]>;
  clean: (written: One[]) => Promise<void>;
};

/**
 * Raises the counts in MySQL to the counters that changed since the last run, and the read markers likewise. A mark is
 * removed after its value was written, and only if the value has not changed since. A crash therefore loses nothing and
 * repeats a little. Values of items that MySQL does not have yet keep their mark for the next run.
 */
export const syncCounts = async (
  { remainingMs }: Pick<Job, 'remainingMs'>,
  { applications, chats, counters, markers, readMarkers, now }: Uses,
) => {
  // Changes during this run are left for the next one, so that a busy chat does not delay the others.
  const until = now() + limits.openingMs;
  /** @param write returns the values that it wrote, and leaves out those of items that MySQL does not have */
  const sync = async <One>({ dirty, clean }: Changed<One>, write: (batch: One[]) => Promise<One[]>) => {
    let synced = 0;
    let skipped = 0;
    while (remainingMs() > 0) {
      const batch = await dirty({ until, skip: skipped, count: BATCH });
      if (batch.length === 0) break;
      const written = await write(batch);
      await clean(written);
      synced += written.length;
      skipped += batch.length - written.length;
    }
    return { synced, skipped };
  };
  const counted = (kind: DirtyKind): Changed<Count> => ({
    dirty: (range) => counters.dirty(kind, range),
    clean: (written) => counters.clean(kind, written),
  });
  const isOfChat = (count: Count): count is Count & { chatNumber: number } => count.chatNumber !== undefined;

  const ofApplications = await sync(counted('applications'), applications.raiseChatsCounts);
  const ofChats = await sync(counted('chats'), (batch) => chats.raiseMessagesCounts(batch.filter(isOfChat)));
  const ofReaders = await sync(markers, readMarkers.raise);
  return {
    applications: ofApplications.synced,
    chats: ofChats.synced,
    markers: ofReaders.synced,
    notStoredYet: ofApplications.skipped + ofChats.skipped + ofReaders.skipped,
  };
};

export const handler = jobHandler(schema, syncCounts, {
  applications,
  chats,
  counters,
  markers,
  readMarkers,
  now,
});
