/**
 * The values that a reader may see, by the answers to the writers. A write without an answer, or with a 503, may take
 * effect at any time after it began, so it is concurrent with all later writes.
 */
export type Write = { value: string; beganAt: number; endedAt: number };

export class Register {
  readonly #writes: Write[];

  /** @param initial the value at its creation; `at`: the time of the creator's answer */
  constructor(initial: string, at: number) {
    this.#writes = [{ value: initial, beganAt: at, endedAt: at }];
  }

  /** Notes a sent write. Call `acknowledged` of the result with the time of the answer. */
  begin(value: string, beganAt: number): { acknowledged: (at: number) => void } {
    const write: Write = { value, beganAt, endedAt: Number.POSITIVE_INFINITY };
    this.#writes.push(write);
    return {
      acknowledged: (at) => {
        write.endedAt = at;
      },
    };
  }

  /** True if a read that lasts from `from` to `to` may return this value. */
  allows(value: string, from = Number.POSITIVE_INFINITY, to = Number.POSITIVE_INFINITY): boolean {
    return this.#writes.some(
      (write) =>
        write.value === value &&
        write.beganAt <= to &&
        // Superseded: another was begun after this one was acknowledged, and acknowledged before the reader began.
        !this.#writes.some((later) => later.beganAt > write.endedAt && later.endedAt < from),
    );
  }

  get acknowledged(): number {
    return this.#writes.filter(({ endedAt }) => endedAt < Number.POSITIVE_INFINITY).length - 1;
  }
}
