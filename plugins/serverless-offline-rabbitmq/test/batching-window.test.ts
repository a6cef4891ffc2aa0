import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createBatchingWindow } from '../src/batching-window.ts';

const limits = { maxItems: 3, maxBytes: 100, windowMs: 500 };

/** What a promise has settled to by now: `[value]`, or `[]` while it is pending. */
const settledTo = async <T>(promise: Promise<T>): Promise<T[]> => {
  const pending = Symbol('pending');
  const value = await Promise.race([promise, Promise.resolve(pending)]);
  return value === pending ? [] : [value as T];
};

describe('a batch is ready', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('at once when it has the most items; the others stay for the next', async () => {
    const window = createBatchingWindow<string>(limits);
    for (const item of ['a', 'b', 'c', 'd']) window.add(item, 1);
    expect(await window.ready()).toBe('full');
    expect(window.take()).toEqual(['a', 'b', 'c']);
    const next = window.ready();
    expect(await settledTo(next)).toEqual([]);
    await vi.advanceTimersByTimeAsync(500);
    expect(await next).toBe('due');
    expect(window.take()).toEqual(['d']);
  });

  it('when its first item has waited for the window', async () => {
    const window = createBatchingWindow<string>(limits);
    const ready = window.ready();
    await vi.advanceTimersByTimeAsync(10_000);
    window.add('a', 1);
    await vi.advanceTimersByTimeAsync(400);
    window.add('b', 1);
    await vi.advanceTimersByTimeAsync(99);
    expect(await settledTo(ready)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await ready).toBe('due');
    expect(window.take()).toEqual(['a', 'b']);
  });

  it('with a window that also ran while nobody asked', async () => {
    const window = createBatchingWindow<string>(limits);
    window.add('a', 1);
    await vi.advanceTimersByTimeAsync(600);
    expect(await window.ready()).toBe('due');
  });

  it('before it would exceed the most bytes', async () => {
    const window = createBatchingWindow<string>(limits);
    window.add('a', 60);
    window.add('b', 40);
    const ready = window.ready();
    expect(await settledTo(ready)).toEqual([]);
    window.add('c', 1);
    expect(await ready).toBe('full');
    expect(window.take()).toEqual(['a', 'b']);
  });

  it('though it exceeds the most bytes when it is a single item', async () => {
    const window = createBatchingWindow<string>(limits);
    window.add('a', 101);
    window.add('b', 1);
    expect(await window.ready()).toBe('full');
    expect(window.take()).toEqual(['a']);
  });

  it('with the items that were added first before all others', () => {
    const window = createBatchingWindow<string>(limits);
    window.add('c', 1);
    window.addFirst(['a', 'b'].map((item) => ({ item, bytes: 1 })));
    expect(window.take()).toEqual(['a', 'b', 'c']);
    expect(window.size()).toBe(0);
  });

  it('no more once closed', async () => {
    const window = createBatchingWindow<string>(limits);
    const ready = window.ready();
    window.add('a', 1);
    window.close();
    expect(await ready).toBe('closed');
    expect(await window.ready()).toBe('closed');
    expect(window.take()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
