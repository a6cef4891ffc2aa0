/** Where a chat is. */
export type ChatReference = { token: string; chatNumber: number };
/** Where a message is. */
export type MessageReference = ChatReference & { messageNumber: number };

/** A chat's reference as text. No token contains a colon, so two chats never share one. */
export const chatReference = ({ token, chatNumber }: ChatReference): string => `${token}:${chatNumber}`;

/** A message's reference as text: the id of its document in the index, and its member in the index's outbox. */
export const messageReference = ({ token, chatNumber, messageNumber }: MessageReference): string =>
  `${token}:${chatNumber}:${messageNumber}`;

/** The parts of {@link messageReference}. */
export const parseMessageReference = (text: string): MessageReference => {
  const [token = '', chatNumber, messageNumber] = text.split(':');
  return { token, chatNumber: Number(chatNumber), messageNumber: Number(messageNumber) };
};
