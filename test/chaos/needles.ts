import { randomBytes } from 'node:crypto';

/** Needles, and handles, which nobody but the server makes. */
const pattern = /needle[0-9a-f]{16}|\b[a-z0-9]{16}\b/g;

/** `at`: from when no answer shows it. `isStored`: MySQL has the deletion, so it shows nothing while Redis is away. */
type Gone = { at: number; isStored: boolean };

/**
 * Random words in texts. After the 200 of a deletion no answer shows the words of its item, and once `eraseDeleted` ran, no
 * store does.
 */
export class Needles {
  readonly #deleted = new Map<string, Gone>();

  make(): string {
    return `needle${randomBytes(8).toString('hex')}`;
  }

  /** The first deletion counts: a message may be deleted before its chat. */
  deleted(needles: readonly string[], deletion: Gone): void {
    for (const needle of needles) {
      const known = this.#deleted.get(needle);
      if (known === undefined || known.at === Number.POSITIVE_INFINITY) this.#deleted.set(needle, deletion);
    }
  }

  /** Answers may show these needles for now. A store may not, once `eraseDeleted` ran. */
  erasing(needles: readonly string[]): void {
    this.deleted(needles, { at: Number.POSITIVE_INFINITY, isStored: false });
  }

  /** A needle of a deleted text, for a search that must not find it. */
  pick(pickOne: (of: readonly string[]) => string | undefined): string | undefined {
    return pickOne([...this.#deleted.keys()].slice(-50));
  }

  /** The needles that an answer to a request from `from` on must not show, as far as the text has them; all for a store. */
  shownIn(text: string, seen?: { from: number; isRedisAway?: boolean }): string[] {
    return (text.match(pattern) ?? []).filter((word) => {
      const deletion = this.#deleted.get(word);
      if (deletion === undefined || seen === undefined) return deletion !== undefined;
      return deletion.at < seen.from && (deletion.isStored || seen.isRedisAway !== true);
    });
  }
}
