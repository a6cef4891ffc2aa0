import type { Row } from './row.ts';
import type { Running } from './stack.ts';

export type Options = {
  /** Seconds of steady load on the whole path. */
  steadySeconds: number;
  /** Chats before Redis is killed and wiped. */
  chats: number;
  /** Chats and messages in one chat that growth ends at. */
  grownTo: number;
  /** Messages of the chat and of the account that are erased. */
  erased: number;
};

/** One part of the table. */
export type Section = (bench: Running & { options: Options }) => Promise<Row[]>;
