/** A place in a chat's order: newest `createdAt` first, then the higher number. */
export type Position = { createdAtMs: number; messageNumber: number };

/** Where a page begins: below a place, newest first, or above it, oldest first. Without either at the newest message. */
export type PageStart = { before?: Position | undefined; after?: Position | 'start' | undefined };

/** Sorts newest first: negative if `a` comes before `b` in a list. */
export const comparePositions = (a: Position, b: Position): number =>
  b.createdAtMs - a.createdAtMs || b.messageNumber - a.messageNumber;
