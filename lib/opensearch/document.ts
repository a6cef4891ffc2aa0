import type { IndexableMessage } from '#lib/domain/message.ts';

export type MessageRef = { token: string; chatNumber: number; messageNumber: number };

export type IndexedVersion = { messageNumber: number; version: number };

export const documentId = ({ token, chatNumber, messageNumber }: MessageRef) =>
  `${token}:${chatNumber}:${messageNumber}`;

/** What the index keeps of a message: what it is found by, and what an answer shows. */
export const toDocument = ({ token, chatNumber, messageNumber, body, createdAt }: IndexableMessage) => ({
  chat: `${token}:${chatNumber}`,
  messageNumber,
  createdAt,
  // Half of a surrogate pair has no UTF-8 form, and the server refuses it.
  body: body.toWellFormed(),
});
