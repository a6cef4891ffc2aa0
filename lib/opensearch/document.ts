import type { IndexableMessage } from '#lib/domain/message.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { normalText } from './normal-text.ts';

/** What the index needs of a message. */
export type IndexedMessage = Pick<
  IndexableMessage,
  'token' | 'chatNumber' | 'messageNumber' | 'body' | 'createdAt' | 'version'
>;

export type IndexedVersion = { messageNumber: number; version: number };

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
}: IndexedMessage): IndexDocument => {
  // Half of a surrogate pair has no UTF-8 form, and the server refuses it.
  const original = body.toWellFormed();
  const normal = normalText(original);
  return {
    chat: chatReference({ token, chatNumber }),
    messageNumber,
    createdAt,
    body: normal,
    ...(normal === original ? {} : { original }),
  };
};
