/** When a batch is complete. */
interface BatchLimits {
  /** The most items in a batch. */
  maxItems: number;
  /** The most bytes in a batch; an item that alone is larger still makes a batch. */
  maxBytes: number;
  /** How long the first item of a batch may wait for others, in milliseconds. */
  windowMs: number;
}

interface Waiting<Item> {
  item: Item;
  bytes: number;
  /** On the monotonic clock, in milliseconds. */
  arrivedAt: number;
}

/**
 * Gathers items into batches, in the order in which they came: a batch is handed out when it has `maxItems`, when
 * the next item would take it over `maxBytes`, or `windowMs` after its first item arrived.
 */
export class BatchingWindow<Item> {
  readonly #limits: BatchLimits;
  #waiting: Waiting<Item>[] = [];
  #waitingBytes = 0;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #onChange: (() => void) | undefined;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** Puts an item at the end. */
  add(item: Item, bytes: number): void {
    this.#waiting.push({ item, bytes, arrivedAt: performance.now() });
    this.#waitingBytes += bytes;
    this.#onChange?.();
  }

  /** No batch is handed out any more; what still waits is dropped. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#onChange?.();
  }

  /**
   * The next batch, as soon as it is complete; undefined once closed. One call at a time.
   */
  next(): Promise<Item[] | undefined> {
    return new Promise((resolve) => {
      this.#onChange = () => {
        const remainingMs = this.#remainingMs();
        if (remainingMs > 0) {
          // One timer for the first item is enough: items behind it never have less time left.
          if (Number.isFinite(remainingMs)) this.#timer ??= setTimeout(() => this.#expired(), remainingMs);
          return;
        }
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#onChange = undefined;
        resolve(this.#closed ? undefined : this.#take());
      };
      this.#onChange();
    });
  }

  #expired(): void {
    this.#timer = undefined;
    this.#onChange?.();
  }

  /** How long the batch may still wait, in milliseconds: at most 0 when it is complete. */
  #remainingMs(): number {
    const { maxItems, maxBytes, windowMs } = this.#limits;
    if (this.#closed || this.#waiting.length >= maxItems || this.#waitingBytes > maxBytes) return 0;
    const first = this.#waiting[0];
    return first === undefined ? Number.POSITIVE_INFINITY : first.arrivedAt + windowMs - performance.now();
  }

  #take(): Item[] {
    let count = 0;
    let bytes = 0;
    for (const next of this.#waiting) {
      if (count === this.#limits.maxItems || (count > 0 && bytes + next.bytes > this.#limits.maxBytes)) break;
      count += 1;
      bytes += next.bytes;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count).map(({ item }) => item);
  }
}
