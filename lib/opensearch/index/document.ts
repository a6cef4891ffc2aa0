import type { IndexableMessage } from '#lib/domain/message.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { normalText } from '../text/normal-text.ts';
import { phoneNumbers } from '../text/phone-numbers.ts';

/** The fields of a message that the index needs. */
export type IndexedMessage = Pick<
  IndexableMessage,
  'token' | 'chatNumber' | 'messageNumber' | 'sender' | 'senderName' | 'body' | 'createdAt' | 'version'
> & {
  /** The body is empty, and search does not find the message. Its version keeps older writes out. */
  deleted?: true | null | undefined;
};

/** A message in the index: the fields that queries use, and the fields that answers show. */
export type IndexDocument = {
  application: string;
  chat: string;
  chatNumber: number;
  messageNumber: number;
  createdAt: string;
  /** The sender's handle. */
  sender?: string;
  senderName: string;
  /** In the normalized spelling of `normal-text.ts`. */
  body: string;
  /** The text as it was sent, if it differs from `body`. */
  original?: string;
  /** The digits of the phone numbers in it. */
  numbers?: string[];
  deleted?: true;
};

export const toDocument = ({
  token,
  chatNumber,
  messageNumber,
  sender,
  senderName,
  body,
  createdAt,
  deleted,
}: IndexedMessage): IndexDocument => {
  // Half of a surrogate pair has no UTF-8 form, and the server refuses it.
  const original = body.toWellFormed();
  const normal = normalText(original);
  const numbers = phoneNumbers(normal);
  return {
    application: token,
    chat: chatReference({ token, chatNumber }),
    chatNumber,
    messageNumber,
    createdAt,
    ...(sender ? { sender } : {}),
    senderName,
    body: normal,
    ...(normal === original ? {} : { original }),
    ...(numbers.length === 0 ? {} : { numbers }),
    ...(deleted ? { deleted } : {}),
  };
};
