/** A place in a chat's order: newest `createdAt` first, then the higher number. */
export type Position = { createdAtMs: number; messageNumber: number };

/** Sorts newest first: negative if `a` comes before `b` in a list. */
export const comparePositions = (a: Position, b: Position): number =>
  b.createdAtMs - a.createdAtMs || b.messageNumber - a.messageNumber;
