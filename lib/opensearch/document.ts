import type { IndexableMessage } from '#lib/domain/message.ts';
import { normalText } from './normal-text.ts';

export type ChatRef = { token: string; chatNumber: number };

export type MessageRef = { token: string; chatNumber: number; messageNumber: number };

export const chatKey = ({ token, chatNumber }: ChatRef) => `${token}:${chatNumber}`;

export type IndexedVersion = { messageNumber: number; version: number };

export const documentId = ({ token, chatNumber, messageNumber }: MessageRef) =>
  `${token}:${chatNumber}:${messageNumber}`;

/** What the index keeps of a message: what it is found by, and what an answer shows. */
export type IndexDocument = {
  chat: string;
  messageNumber: number;
  createdAt: string;
  /** In the spelling that search compares. */
  body: string;
  /** As it was sent, where that differs. */
  original?: string;
};

export const toDocument = ({
  token,
  chatNumber,
  messageNumber,
  body,
  createdAt,
}: IndexableMessage): IndexDocument => {
  // Half of a surrogate pair has no UTF-8 form, and the server refuses it.
  const original = body.toWellFormed();
  const normal = normalText(original);
  return {
    chat: chatKey({ token, chatNumber }),
    messageNumber,
    createdAt,
    body: normal,
    ...(normal === original ? {} : { original }),
  };
};
