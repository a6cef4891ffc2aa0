import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BatchingWindow } from '../../plugins/serverless-offline-rabbitmq/batching-window.ts';

const limits = { maxItems: 3, maxBytes: 100, windowMs: 500 };

/** What a promise has settled to by now: `[value]`, or `[]` while it is pending. */
const settledTo = async <T>(promise: Promise<T>): Promise<T[]> => {
  const pending = Symbol('pending');
  const value = await Promise.race([promise, Promise.resolve(pending)]);
  return value === pending ? [] : [value as T];
};

describe('a batch is handed out', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('at once when it has the most items, the others staying for the next', async () => {
    const window = new BatchingWindow<string>(limits);
    for (const item of ['a', 'b', 'c', 'd']) window.add(item, 1);
    expect(await window.next()).toEqual(['a', 'b', 'c']);
    const rest = window.next();
    expect(await settledTo(rest)).toEqual([]);
    await vi.advanceTimersByTimeAsync(500);
    expect(await rest).toEqual(['d']);
  });

  it('when its first item has waited for the window', async () => {
    const window = new BatchingWindow<string>(limits);
    const batch = window.next();
    await vi.advanceTimersByTimeAsync(10_000);
    window.add('a', 1);
    await vi.advanceTimersByTimeAsync(400);
    window.add('b', 1);
    await vi.advanceTimersByTimeAsync(99);
    expect(await settledTo(batch)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await batch).toEqual(['a', 'b']);
  });

  it('with a window that also ran while nobody asked', async () => {
    const window = new BatchingWindow<string>(limits);
    window.add('a', 1);
    await vi.advanceTimersByTimeAsync(600);
    expect(await window.next()).toEqual(['a']);
  });

  it('before it would pass the most bytes', async () => {
    const window = new BatchingWindow<string>(limits);
    window.add('a', 60);
    window.add('b', 40);
    const batch = window.next();
    expect(await settledTo(batch)).toEqual([]);
    window.add('c', 1);
    expect(await batch).toEqual(['a', 'b']);
  });

  it('though it passes the most bytes when it is a single item', async () => {
    const window = new BatchingWindow<string>(limits);
    window.add('a', 101);
    window.add('b', 1);
    expect(await window.next()).toEqual(['a']);
  });

  it('no more once closed', async () => {
    const window = new BatchingWindow<string>(limits);
    const batch = window.next();
    window.add('a', 1);
    window.close();
    expect(await batch).toBeUndefined();
    expect(await window.next()).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });
});
