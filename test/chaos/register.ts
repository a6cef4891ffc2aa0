/**
 * What one value may be, by what its writers were told. A write that was never answered, or refused with an error that
 * leaves it open, may take effect at any time after it began: it is concurrent with all that follows it.
 */
export type Write = { value: string; beganAt: number; endedAt: number };

export class Register {
  readonly #writes: Write[];

  /** @param initial the value as it was created; `at` when its creator was told */
  constructor(initial: string, at: number) {
    this.#writes = [{ value: initial, beganAt: at, endedAt: at }];
  }

  /** Notes a write that was sent; call the answer with the time at which it was acknowledged. */
  begin(value: string, beganAt: number): { acknowledged: (at: number) => void } {
    const write: Write = { value, beganAt, endedAt: Number.POSITIVE_INFINITY };
    this.#writes.push(write);
    return {
      acknowledged: (at) => {
        write.endedAt = at;
      },
    };
  }

  /** Whether somebody who reads from `from` to `to` may see this value. */
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
