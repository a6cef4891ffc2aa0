import type { IndexableMessage } from '#lib/domain/message.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { normalText } from '../text/normal-text.ts';
import { phoneNumbers } from '../text/phone-numbers.ts';

/** The fields of a message that the index needs. */
export type IndexedMessage = Pick<
  IndexableMessage,
  'token' | 'chatNumber' | 'messageNumber' | 'body' | 'createdAt' | 'version'
>;

/** A message in the index: the fields that queries use, and the fields that answers show. */
export type IndexDocument = {
  chat: string;
  messageNumber: number;
  createdAt: string;
  /** In the normalized spelling of `normal-text.ts`. */
  body: string;
  /** The text as it was sent, if it differs from `body`. */
  original?: string;
  /** The digits of the phone numbers in it. */
  numbers?: string[];
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
  const numbers = phoneNumbers(normal);
  return {
    chat: chatReference({ token, chatNumber }),
    messageNumber,
    createdAt,
    body: normal,
    ...(normal === original ? {} : { original }),
    ...(numbers.length === 0 ? {} : { numbers }),
  };
};
