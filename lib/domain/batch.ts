/** A command that was not stored, and why. */
type Refusal<Command> = { command: Command; reason: string };

/** What became of the commands of a batch. `Stored` is what settling needs to know of a stored command. */
export type Outcome<Command, Stored = Command> = {
  stored: Stored[];
  /** Not possible yet, such as a message whose chat is not stored: tried again later. */
  deferred: Refusal<Command>[];
  /** Never possible: becomes a dead letter. */
  dead: Refusal<Command>[];
};

export const mergeOutcomes = <Command, Stored>(
  outcomes: readonly Outcome<Command, Stored>[],
): Outcome<Command, Stored> => ({
  stored: outcomes.flatMap(({ stored }) => stored),
  deferred: outcomes.flatMap(({ deferred }) => deferred),
  dead: outcomes.flatMap(({ dead }) => dead),
});
