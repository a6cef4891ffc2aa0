import { randomBytes } from 'node:crypto';

const pattern = /needle[0-9a-f]{16}/g;

/**
 * Random words in the bodies of messages. After the 200 of a deletion no answer shows the words of its message, and once
 * `eraseDeleted` ran, no store does.
 */
export class Needles {
  readonly #deleted = new Map<string, { at: number; isStored: boolean }>();

  make(): string {
    return `needle${randomBytes(8).toString('hex')}`;
  }

  /**
   * @param at the time of the 200
   * @param isStored MySQL has the deletion: it shows nothing while Redis is away
   */
  deleted(needles: readonly string[], deletion: { at: number; isStored: boolean }): void {
    for (const needle of needles) this.#deleted.set(needle, deletion);
  }

  /** A needle of a deleted message, for a search that must not find it. */
  pick(pickOne: (of: readonly string[]) => string | undefined): string | undefined {
    return pickOne([...this.#deleted.keys()].slice(-50));
  }

  /** The needles of messages that were deleted before `from`, as far as the text has them. */
  shownIn(text: string, { from = Number.POSITIVE_INFINITY, isRedisAway = false } = {}): string[] {
    return (text.match(pattern) ?? []).filter((needle) => {
      const deletion = this.#deleted.get(needle);
      return deletion !== undefined && deletion.at < from && (deletion.isStored || !isRedisAway);
    });
  }
}
