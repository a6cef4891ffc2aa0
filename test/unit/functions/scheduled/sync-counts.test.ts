import { expect, it } from 'vitest';
import type { ReadMarker } from '#lib/domain/read-marker.ts';
import type { Count, DirtyKind } from '#lib/redis/gate/counters.ts';
import { syncCounts } from '../../../../functions/scheduled/sync-counts.ts';

const nowMs = 1_000;
type Marks = Record<DirtyKind, Count[]> & { markers: ReadMarker[] };
type Range = { until: number; skip: number; count: number };

/** Counters and markers that changed, and a MySQL that stores some of their items. */
const createUses = (marks: Marks, isStored: (of: { chatNumber?: number }) => boolean = () => true) => {
  const written: object[] = [];
  const raise = async <Of extends { token: string; chatNumber?: number }>(
    values: readonly Of[],
  ): Promise<Of[]> => {
    const stored = values.filter(isStored);
    written.push(...stored);
    return stored;
  };
  const part = <One>(of: readonly One[], { until, skip, count }: Range): One[] => {
    // The clock of Redis may be ahead by a second.
    expect(until).toBe(nowMs + 1_000);
    return of.slice(skip, skip + count);
  };
  const rest = <One extends object>(of: readonly One[], cleaned: readonly One[]): One[] => {
    for (const one of cleaned) expect(written).toContain(one);
    return of.filter((one) => !cleaned.includes(one));
  };
  return {
    written,
    marks,
    uses: {
      applications: { raiseChatsCounts: raise },
      chats: { raiseMessagesCounts: raise },
      readMarkers: { raise },
      counters: {
        dirty: async (kind: DirtyKind, range: Range) => part(marks[kind], range),
        clean: async (kind: DirtyKind, counts: readonly Count[]) => {
          marks[kind] = rest(marks[kind], counts);
        },
      },
      markers: {
        dirty: async (range: Range) => part(marks.markers, range),
        clean: async (cleaned: readonly ReadMarker[]) => {
          marks.markers = rest(marks.markers, cleaned);
        },
      },
      now: () => nowMs,
    },
  };
};
const chats = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ token: 'app', chatNumber: at + 1, count: 5 }));
const markers = (count: number) => chats(count).map((chat, userId) => ({ ...chat, userId, number: 3 }));
const run = { remainingMs: () => 10_000 };

it('writes every count and marker that moved, in any number of batches, before it removes the marks', async () => {
  const moved = { applications: [{ token: 'app', count: 3 }], chats: chats(1_201), markers: markers(501) };
  const { uses, written, marks } = createUses(moved);
  expect(await syncCounts(run, uses)).toEqual({
    applications: 1,
    chats: 1_201,
    markers: 501,
    notStoredYet: 0,
  });
  expect(written).toHaveLength(1_703);
  expect(marks).toEqual({ applications: [], chats: [], markers: [] });
});

it('keeps the marks in chats that are not stored yet, and continues after them', async () => {
  const isStored = ({ chatNumber = 0 }: { chatNumber?: number }) => chatNumber > 700;
  const { uses, marks } = createUses(
    { applications: [], chats: chats(1_000), markers: markers(1_000) },
    isStored,
  );
  expect(await syncCounts(run, uses)).toEqual({
    applications: 0,
    chats: 300,
    markers: 300,
    notStoredYet: 1_400,
  });
  expect(marks).toEqual({ applications: [], chats: chats(700), markers: markers(700) });
});

it('stops between batches when its time is over, and keeps the rest for the next run', async () => {
  const { uses, marks } = createUses({ applications: [], chats: chats(1_000), markers: markers(1) });
  const times = [1, 1, 0];
  const report = await syncCounts({ remainingMs: () => times.shift() ?? 0 }, uses);
  expect(report).toEqual({ applications: 0, chats: 500, markers: 0, notStoredYet: 0 });
  expect(marks.chats).toHaveLength(500);
  expect(marks.markers).toHaveLength(1);
});
