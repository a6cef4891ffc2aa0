import { limits } from './limits.ts';
import type { Position } from './position.ts';

/** A message as Redis, MySQL and the index store it. */
export type Message = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  senderId: number;
  /** The sender's handle. Undefined until it is looked up, null if the account was erased. */
  sender?: string | null | undefined;
  senderName: string;
  body: string;
  createdAtMs: number;
  editedAtMs?: number;
  /** Present for a deleted message, whose body is empty. */
  deletedAtMs?: number;
  /** Time of the last write in microseconds since 1970; increases with every write. */
  version: number;
};

/** The time at which Redis accepted a command of this API. */
export const msOfId = (commandId: number): number => Math.floor(commandId / 1_000);

/** The name of every sender whose account was erased. */
export const DELETED_USER = 'Deleted user';

/** The indexed fields: all fields of a search answer, and no database id. */
export type IndexableMessage = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  /** The sender's handle. */
  sender?: string | null | undefined;
  senderName: string;
  body: string;
  /** ISO 8601, milliseconds, UTC. */
  createdAt: string;
  editedAt?: string;
  /** The body is empty. The index keeps such a document, because a missing one could be written again by an older version. */
  deleted?: true | null | undefined;
  version: number;
};

/** An accepted edit or deletion that the stored row may not show yet. The time of a deletion is in `editedAtMs`, too. */
export type Edit = {
  messageNumber: number;
  body: string;
  editedAtMs: number;
  deleted?: true;
  version: number;
};

export const isDeleted = ({ deletedAtMs }: Pick<Message, 'deletedAtMs'>): boolean =>
  deletedAtMs !== undefined;

/** A deletion is the last edit: it applies whatever the versions are, and no later edit changes the message. */
export const applyEdit = (message: Message, edit: Edit | undefined): Message => {
  if (edit === undefined || isDeleted(message)) return message;
  if (edit.deleted) {
    const version = Math.max(message.version + 1, edit.version);
    return { ...message, body: '', deletedAtMs: edit.editedAtMs, version };
  }
  return edit.version > message.version
    ? { ...message, body: edit.body, editedAtMs: edit.editedAtMs, version: edit.version }
    : message;
};

const isNewer = (one: Message, other: Message): boolean =>
  isDeleted(one) === isDeleted(other) ? one.version > other.version : isDeleted(one);

/** Merges messages by number; a deleted one wins, then the newer version. */
export const mergeByNumber = (...lists: readonly Message[][]): Message[] => {
  const byNumber = new Map<number, Message>();
  for (const message of lists.flat()) {
    const known = byNumber.get(message.messageNumber);
    if (known === undefined || isNewer(message, known)) byNumber.set(message.messageNumber, message);
  }
  return [...byNumber.values()];
};

export const positionOf = (message: Message): Position => ({
  createdAtMs: message.createdAtMs,
  messageNumber: message.messageNumber,
});

const withSender = ({ sender }: Message): { sender?: string } => (sender ? { sender } : {});

export const toIndexable = (message: Message): IndexableMessage => ({
  token: message.token,
  chatNumber: message.chatNumber,
  messageNumber: message.messageNumber,
  ...withSender(message),
  senderName: message.senderName,
  body: message.body,
  createdAt: new Date(message.createdAtMs).toISOString(),
  ...(message.editedAtMs === undefined ? {} : { editedAt: new Date(message.editedAtMs).toISOString() }),
  ...(isDeleted(message) ? { deleted: true } : {}),
  version: message.version,
});

/**
 * The most bytes of a message as JSON. A control character in the text takes 6 bytes (`\\u0001`), a character
 * of a name 4, and all other fields one kilobyte.
 */
export const maxMessageBytes = 6 * limits.body + 6 * limits.name + 1_000;

/** The fields of a message that clients see, without a database id. */
export const toResponse = (message: Message) => ({
  messageNumber: message.messageNumber,
  ...withSender(message),
  senderName: message.senderName,
  body: message.body,
  createdAt: new Date(message.createdAtMs).toISOString(),
  ...(message.editedAtMs === undefined ? {} : { editedAt: new Date(message.editedAtMs).toISOString() }),
  ...(message.deletedAtMs === undefined ? {} : { deletedAt: new Date(message.deletedAtMs).toISOString() }),
  changeNumber: message.version,
});
