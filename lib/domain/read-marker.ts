import type { ChatReference } from './reference.ts';

/** The highest message number that a user has read in a chat. */
export type ReadMarker = ChatReference & { userId: number; number: number };
