/**
 * Change numbers and command ids are multiples of it, so 62,500 a second follow the clock. Between two numbers, a position has
 * room for a mark: the opening of the gate that it follows.
 */
export const NUMBER_STEP = 16;
const MARKS = NUMBER_STEP - 1;

/** The highest change number up to these microseconds. */
export const numberUpTo = (micros: number): number => micros - (micros % NUMBER_STEP);

/**
 * The position behind a change, at the end of a page that is cut. After a loss, the whole history may be in the interval of
 * an opening, and positions from before are refused. The mark tells that this one was given later.
 * @param epoch of the last opening of the gate
 */
const markedPosition = (changeNumber: number, epoch: number): number =>
  numberUpTo(changeNumber) + 1 + (epoch % MARKS);

/**
 * The opening that a position follows: openings up to it do not matter. Openings have their epochs' numbers.
 * @returns 0 for a position without a mark
 */
export const openingOf = (position: number, epoch: number): number => {
  const mark = position % NUMBER_STEP;
  return mark === 0 ? 0 : Math.max(0, epoch - ((epoch - (mark - 1) + MARKS) % MARKS));
};

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
export type ChangeContent = {
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

/** A part of a feed. It is complete up to `changeNumber`, which is the next position. */
export type FeedPage<Item> = { changeNumber: number; more: boolean; items: Item[] };

/**
 * Merges changes of Redis and MySQL, each list with the lowest numbers above a position: at least `limit` + 1, or all up to
 * `upTo`. A change may be in both.
 * @param isCut whether changes above `upTo` may be missing in the lists @param epoch of the last opening of the gate
 */
export const mergeChanges = (
  lists: readonly (readonly Change[])[],
  { limit, upTo, isCut, epoch }: { limit: number; upTo: number; isCut: boolean; epoch: number },
): FeedPage<Change> => {
  const byNumber = new Map<number, Change>();
  for (const change of lists.flat())
    if (change.changeNumber <= upTo) byNumber.set(change.changeNumber, change);
  const sorted = [...byNumber.values()].sort((one, other) => one.changeNumber - other.changeNumber);
  const items = sorted.slice(0, limit);
  const last = items.at(-1);
  if (sorted.length > limit && last !== undefined)
    return { changeNumber: markedPosition(last.changeNumber, epoch), more: true, items };
  return { changeNumber: isCut ? markedPosition(upTo, epoch) : upTo, more: isCut, items };
};

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
export const toChangedItem = (
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
