import type { Outcome } from '#lib/domain/batch.ts';

/**
 * The two steps of a consumer function. Each command passes them at least once, so both must be repeatable.
 */
export type Consumer<Command, Uses, Stored = Command> = {
  /**
   * Writes the commands to MySQL or the index, in the order of the queue, and reports each as stored,
   * deferred or dead. @throws unavailable when a server cannot do its work now. The wrapper attributes any
   * other error to a command.
   */
  store: <Of extends Command>(uses: Uses, commands: readonly Of[]) => Promise<Outcome<Of, Stored>>;
  /**
   * Updates Redis and the index's queue for the stored and dead commands. Runs for several parts of a batch at once, in any
   * order: counters are only raised, the index's outbox keeps the newest version, and all else concerns single commands.
   * @throws unavailable
   */
  settle: (uses: Uses, outcome: { stored: readonly Stored[]; dead: readonly Command[] }) => Promise<void>;
  /**
   * Finds deferred commands whose item is still on its way. They wait without a limit: as dead letters they would leave the
   * item as it was. @throws unavailable
   */
  waitsOn?: <Of extends Command>(uses: Uses, commands: readonly Of[]) => Promise<ReadonlySet<Of>>;
  /** A larger batch is stored in parts of this size, and a part is settled while the next is stored. */
  partSize?: number;
};
