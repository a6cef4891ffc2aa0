import { expect, it } from 'vitest';
import type { Count, DirtyKind } from '#lib/redis/gate/counters.ts';
import { syncCounts } from '../../../../functions/scheduled/sync-counts.ts';

const nowMs = 1_000;
type Marks = Record<DirtyKind, Count[]>;

/** Counters that changed, and a MySQL that stores some of the counted items. */
const createUses = (marks: Marks, isStored: (count: Count) => boolean = () => true) => {
  const written: Count[] = [];
  const raise = async <Of extends { token: string; count: number }>(counts: readonly Of[]): Promise<Of[]> => {
    const stored = counts.filter(isStored);
    written.push(...stored);
    return stored;
  };
  return {
    written,
    marks,
    uses: {
      applications: { raiseChatsCounts: raise },
      chats: { raiseMessagesCounts: raise },
      counters: {
        dirty: async (
          kind: DirtyKind,
          { until, skip, count }: { until: number; skip: number; count: number },
        ) => {
          expect(until).toBe(nowMs);
          return marks[kind].slice(skip, skip + count);
        },
        clean: async (kind: DirtyKind, counts: readonly Count[]) => {
          for (const count of counts) expect(written).toContain(count);
          marks[kind] = marks[kind].filter((mark) => !counts.includes(mark));
        },
      },
      now: () => nowMs,
    },
  };
};
const chats = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ token: 'app', chatNumber: at + 1, count: 5 }));
const run = { remainingMs: () => 10_000 };

it('writes every count that moved, however many batches it takes, before it removes the marks', async () => {
  const moved = { applications: [{ token: 'app', count: 3 }], chats: chats(1_201) };
  const { uses, written, marks } = createUses(moved);
  expect(await syncCounts(run, uses)).toEqual({ applications: 1, chats: 1_201, notStoredYet: 0 });
  expect(written).toHaveLength(1_202);
  expect(marks).toEqual({ applications: [], chats: [] });
});

it('keeps the marks of chats that are not stored yet, and continues after them', async () => {
  const isStored = ({ chatNumber = 0 }: Count) => chatNumber > 700;
  const { uses, marks } = createUses({ applications: [], chats: chats(1_000) }, isStored);
  expect(await syncCounts(run, uses)).toEqual({ applications: 0, chats: 300, notStoredYet: 700 });
  expect(marks.chats).toEqual(chats(700));
});

it('stops between batches when its time is over, and keeps the rest for the next run', async () => {
  const { uses, marks } = createUses({ applications: [], chats: chats(1_000) });
  const times = [1, 1, 0];
  const report = await syncCounts({ remainingMs: () => times.shift() ?? 0 }, uses);
  expect(report).toEqual({ applications: 0, chats: 500, notStoredYet: 0 });
  expect(marks.chats).toHaveLength(500);
});
