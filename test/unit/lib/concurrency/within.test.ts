import { expect, test, vi } from 'vitest';
import { within } from '#lib/concurrency/within.ts';

const tooLate = () => new Error('too late');

test('work that ends in time keeps its result or its error, and leaves no timer', async () => {
  vi.useFakeTimers();
  try {
    expect(await within(1_000, Promise.resolve('done'), tooLate)).toBe('done');
    await expect(within(1_000, Promise.reject(new Error('failed')), tooLate)).rejects.toThrow('failed');
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('work that takes too long fails after the time limit, and not before', async () => {
  vi.useFakeTimers();
  try {
    let failure: unknown;
    const work = within(1_000, new Promise<never>(() => undefined), tooLate).catch((error: unknown) => {
      failure = error;
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(failure).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await work;
    expect(failure).toEqual(new Error('too late'));
  } finally {
    vi.useRealTimers();
  }
});
