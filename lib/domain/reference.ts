/** Where a chat is. */
export type ChatReference = { token: string; chatNumber: number };
/** Where a message is. */
export type MessageReference = ChatReference & { messageNumber: number };

/** The item of a counter: an application, which counts chats, or a chat, which counts messages. */
export type CounterReference = { token: string; chatNumber?: number | undefined };
/** What an edit changes: an application, a chat or a message. */
export type ItemReference =
  | { token: string; chatNumber?: undefined; messageNumber?: undefined }
  | (ChatReference & { messageNumber?: undefined })
  | MessageReference;

/** A chat's reference as text. No token contains a colon, so two chats never share one. */
export const chatReference = ({ token, chatNumber }: ChatReference): string => `${token}:${chatNumber}`;

/** The parts of {@link chatReference}. */
export const parseChatReference = (text: string): ChatReference => {
  const [token = '', chatNumber] = text.split(':');
  return { token, chatNumber: Number(chatNumber) };
};

/** A message's reference as text: the id of its document in the index, and its member in the index's outbox. */
export const messageReference = ({ token, chatNumber, messageNumber }: MessageReference): string =>
  `${token}:${chatNumber}:${messageNumber}`;

/** A counter's reference as text: the application's token, or the chat's reference. */
export const counterReference = ({ token, chatNumber }: CounterReference): string =>
  chatNumber === undefined ? token : chatReference({ token, chatNumber });

/** The parts of {@link counterReference}. */
export const parseCounterReference = (text: string): { token: string; chatNumber?: number } => {
  const [token = '', chatNumber] = text.split(':');
  return chatNumber === undefined ? { token } : { token, chatNumber: Number(chatNumber) };
};

export const itemReference = (item: ItemReference): string =>
  item.messageNumber === undefined ? counterReference(item) : messageReference(item);

/** The parts of {@link messageReference}. */
export const parseMessageReference = (text: string): MessageReference => {
  const [token = '', chatNumber, messageNumber] = text.split(':');
  return { token, chatNumber: Number(chatNumber), messageNumber: Number(messageNumber) };
};
