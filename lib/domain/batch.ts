/** A command that was not stored, and why. */
type Refusal<Command> = { command: Command; reason: string };

/** The result of storing a batch. `Stored` is the data that settling needs about a stored command. */
export type Outcome<Command, Stored = Command> = {
  stored: Stored[];
  /**
   * Commands that cannot be stored yet, such as a message whose chat is missing. They are tried again later.
   */
  deferred: Refusal<Command>[];
  /** Commands that can never be stored. They become dead letters. */
  dead: Refusal<Command>[];
  /** Late commands for a deleted application or chat. They leave no trace. */
  dropped?: Command[];
};

export const mergeOutcomes = <Command, Stored>(
  outcomes: readonly Outcome<Command, Stored>[],
): Outcome<Command, Stored> => ({
  stored: outcomes.flatMap(({ stored }) => stored),
  deferred: outcomes.flatMap(({ deferred }) => deferred),
  dead: outcomes.flatMap(({ dead }) => dead),
  dropped: outcomes.flatMap(({ dropped = [] }) => dropped),
});
