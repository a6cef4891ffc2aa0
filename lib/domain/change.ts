/** What can change. The order is that of the column `type`. */
export const changeTypes = [
  'application.created',
  'application.updated',
  'application.deleted',
  'chat.created',
  'chat.updated',
  'chat.deleted',
  'message.created',
  'message.updated',
  'message.deleted',
] as const;
export type ChangeType = (typeof changeTypes)[number];

/** What changed, without its content. A change of a chat has no `messageNumber`, one of an application neither number. */
export type ChangedItem = {
  type: ChangeType;
  token: string;
  chatNumber?: number;
  messageNumber?: number;
};

/** A change and its place in the feed: the command's id, or a number that settling issued. */
export type Change = ChangedItem & { changeNumber: number };

/**
 * The numbers of the changes before it: of the application's, and of the chat's. Each is present if somebody watches that
 * feed, and is at least the number at which the gate was opened last.
 */
type ChangesBefore = { application?: number; chat?: number };

/** A change as accepting or settling answers it. */
export type NumberedChange = Change & { before: ChangesBefore };

/** The content of a changed item, as clients see it. */
type ChangeContent = {
  message?: {
    messageNumber: number;
    sender?: string;
    senderName: string;
    body: string;
    createdAt: string;
    editedAt?: string;
    deletedAt?: string;
    changeNumber: number;
  };
  chat?: { chatNumber: number; title?: string; messagesCount: number };
  application?: { token: string; name: string; chatsCount: number };
};

/** A change with its content, as feeds and frames carry it. `previous` is in frames only. */
export type ChangeEvent = Change & { previous?: number; date: string } & ChangeContent;

/** The type of the change that a command makes. */
export const changeTypeOf = (
  { item, creates }: { item: 'application' | 'chat' | 'message'; creates?: string },
  isDeletion: boolean,
): ChangeType => {
  if (creates !== undefined) return `${item}.created`;
  return isDeletion ? `${item}.deleted` : `${item}.updated`;
};

/**
 * Whether a stored command has deleted its item. A deletion leaves an item whose number was given again after a loss.
 * @param isDeleted of the row, where that may differ
 */
export const isDeletion = ({
  deleted,
  isDeleted = true,
}: {
  deleted?: true | null | undefined;
  isDeleted?: boolean;
}): boolean => deleted === true && isDeleted;

/** The time of a change: numbers are microseconds since 1970. */
export const dateOfChange = ({ changeNumber }: Pick<Change, 'changeNumber'>): string =>
  new Date(Math.floor(changeNumber / 1000)).toISOString();

/** A changed item as the beginning of a member of the pending changes: `<type>:<chatNumber>:<messageNumber>:`. */
export const changedItemText = ({
  type,
  chatNumber = 0,
  messageNumber = 0,
}: Pick<ChangedItem, 'type' | 'chatNumber' | 'messageNumber'>): string =>
  `${type}:${chatNumber}:${messageNumber}:`;

const isChangeType = (text: string): text is ChangeType => changeTypes.some((type) => type === text);

/** The parts of {@link changedItemText}. Undefined for any other text. */
export const parseChangedItem = (token: string, text: string): ChangedItem | undefined => {
  const [type = '', chatNumber, messageNumber] = text.split(':');
  if (!isChangeType(type)) return undefined;
  return toChangedItem(type, token, Number(chatNumber), Number(messageNumber));
};

/** @param chatNumber 0 for a change of the application @param messageNumber 0 for a change of a chat */
const toChangedItem = (
  type: ChangeType,
  token: string,
  chatNumber: number,
  messageNumber: number,
): ChangedItem => ({
  type,
  token,
  ...(chatNumber > 0 ? { chatNumber } : {}),
  ...(messageNumber > 0 ? { messageNumber } : {}),
});
