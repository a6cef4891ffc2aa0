import { expect, it, vi } from 'vitest';
import { DELETED_USER } from '#lib/domain/message.ts';
import { eraseAccounts } from '#lib/upkeep/account-erasure.ts';

const row = (id: number) => ({
  id,
  token: 'token',
  chatNumber: 1,
  messageNumber: id,
  senderId: 7,
  sender: null,
  senderName: DELETED_USER,
  body: '',
  createdAtMs: 1,
  deletedAtMs: 2,
  version: 3,
});

/** Accounts with numbers of messages that are not blank. A finished one leaves the list. */
const givenAccounts = (messagesOf: Record<number, number>, { fails = '' } = {}) => {
  const steps: string[] = [];
  const left = new Map(Object.entries(messagesOf).map(([id, count]) => [Number(id), count]));
  const noted = new Map<number, number>();
  const step = async (text: string) => {
    steps.push(text);
    if (text === fails) throw new Error('No answer');
  };
  return {
    steps,
    left,
    uses: {
      users: {
        findErasing: async () => [...left.keys()],
        finishErasure: async (id: number) => {
          await step(`finish ${id}`);
          return left.delete(id) ? 1 : 0;
        },
      },
      messages: {
        eraseNext: async (userId: number, afterId: number, count: number) => {
          await step(`blank ${userId} after ${afterId}`);
          const total = left.get(userId) ?? 0;
          const from = Math.max(afterId, noted.get(userId) ?? 0);
          return Array.from({ length: Math.min(count, total - from) }, (_, i) => row(from + 1 + i));
        },
        noteErased: async (ids: readonly number[]) => {
          await step(`note ${ids.length}`);
          noted.set(7, ids.at(-1) ?? 0);
        },
      },
      settles: {
        'update-message': async ({ stored }: { stored: readonly object[] }) =>
          step(`settle ${stored.length}`),
      },
      indexing: { handOn: async (rows: readonly object[]) => step(`hand on ${rows.length}`) },
      now: () => Date.now(),
    },
  };
};

it('blanks messages in MySQL, then in Redis and the index, and the name last', async () => {
  const { uses, steps, left } = givenAccounts({ 7: 2 });
  const { slice } = eraseAccounts(uses);
  expect([await slice(), await slice(), await slice()]).toEqual([2, 1, 0]);
  expect(steps).toEqual([
    'blank 7 after 0',
    'settle 2',
    'hand on 2',
    'note 2',
    'blank 7 after 2',
    'finish 7',
  ]);
  expect(left.size).toBe(0);
});

it.each(['settle 2', 'hand on 2', 'note 2'])('repeats a slice that failed at %j', async (fails) => {
  const { uses, steps } = givenAccounts({ 7: 2 }, { fails });
  const { slice } = eraseAccounts(uses);
  await expect(slice()).rejects.toThrow('No answer');
  expect(steps.at(-1)).toBe(fails);
  const again = givenAccounts({ 7: 2 });
  expect(await eraseAccounts(again.uses).slice()).toBe(2);
  await expect(slice()).rejects.toThrow('No answer');
  // The place of this process did not move.
  expect(steps.filter((step) => step === 'blank 7 after 0')).toHaveLength(2);
});

it('does not let one account that waits hold up another', async () => {
  const { uses, steps } = givenAccounts({ 7: 0, 8: 1 });
  const users = { ...uses.users, finishErasure: async () => 0 };
  expect(await eraseAccounts({ ...uses, users }).slice()).toBe(1);
  expect(steps).toEqual(['blank 7 after 0', 'blank 8 after 0', 'settle 1', 'hand on 1', 'note 1']);
});

it('blanks at most 500 messages a second, a thousand at a time', async () => {
  vi.useFakeTimers();
  try {
    const { uses } = givenAccounts({ 7: 2_000 });
    const { slice } = eraseAccounts(uses);
    expect(await slice()).toBe(1_000);
    let isDone = false;
    const second = slice().then((erased) => {
      isDone = true;
      return erased;
    });
    await vi.advanceTimersByTimeAsync(1_900);
    expect(isDone).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(await second).toBe(1_000);
  } finally {
    vi.useRealTimers();
  }
});
