/** The limits of a batch. */
export type BatchLimits = {
  /** The most items in a batch. */
  maxItems: number;
  /** The most bytes in a batch; a single larger item still makes a batch. */
  maxBytes: number;
  /** How long the first item of a batch waits for others, in milliseconds. */
  windowMs: number;
};

/** The reason why a batch is ready: it is full, its window has passed, or no more items will arrive. */
type Ready = 'full' | 'due' | 'closed';

type Waiting<Item> = {
  item: Item;
  bytes: number;
  /** On the monotonic clock, in milliseconds. */
  arrivedAt: number;
};

export type BatchingWindow<Item> = {
  /** Adds an item at the end. */
  add(item: Item, bytes: number): void;
  /** Adds items of `bytes` each before all others. */
  addFirst(items: readonly { item: Item; bytes: number }[]): void;
  /** Resolves when a batch is full or due, or the window is closed. One call at a time. */
  ready(): Promise<Ready>;
  /** Removes and returns the next batch. It is smaller than the limits if fewer items wait. */
  take(): Item[];
  /** True if a batch is full. */
  isFull(): boolean;
  /** The number of waiting items. */
  size(): number;
  /** The remaining room of the batch that is being filled. */
  room(): { items: number; bytes: number };
  /** Drops everything; `ready` answers `closed` from now on. */
  close(): void;
};

/** Collects items into batches, in the order of arrival. */
export const createBatchingWindow = <Item>({
  maxItems,
  maxBytes,
  windowMs,
}: BatchLimits): BatchingWindow<Item> => {
  let waiting: Waiting<Item>[] = [];
  let waitingBytes = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let onChange: (() => void) | undefined;

  const isFull = () => waiting.length >= maxItems || waitingBytes > maxBytes;

  /** Undefined while the batch still waits, which arms the timer. */
  const state = (): Ready | undefined => {
    if (closed) return 'closed';
    if (isFull()) return 'full';
    const first = waiting[0];
    if (first === undefined) return undefined;
    const remainingMs = first.arrivedAt + windowMs - performance.now();
    if (remainingMs <= 0) return 'due';
    timer ??= setTimeout(() => {
      timer = undefined;
      onChange?.();
    }, remainingMs);
    return undefined;
  };

  const push = (items: readonly { item: Item; bytes: number }[], place: 'first' | 'last') => {
    const arrivedAt = performance.now();
    const added = items.map((entry) => ({ ...entry, arrivedAt }));
    waiting = place === 'first' ? [...added, ...waiting] : waiting;
    if (place === 'last') waiting.push(...added);
    for (const { bytes } of added) waitingBytes += bytes;
    onChange?.();
  };

  return {
    add: (item, bytes) => push([{ item, bytes }], 'last'),
    addFirst: (items) => push(items, 'first'),
    isFull,
    size: () => waiting.length,
    room: () => ({ items: maxItems - waiting.length, bytes: maxBytes - waitingBytes }),
    ready: () =>
      new Promise((resolve) => {
        onChange = () => {
          const now = state();
          if (now === undefined) return;
          clearTimeout(timer);
          timer = undefined;
          onChange = undefined;
          resolve(now);
        };
        onChange();
      }),
    take: () => {
      let count = 0;
      let bytes = 0;
      for (const next of waiting) {
        if (count === maxItems || (count > 0 && bytes + next.bytes > maxBytes)) break;
        count += 1;
        bytes += next.bytes;
      }
      waitingBytes -= bytes;
      return waiting.splice(0, count).map(({ item }) => item);
    },
    close: () => {
      closed = true;
      waiting = [];
      waitingBytes = 0;
      onChange?.();
    },
  };
};
