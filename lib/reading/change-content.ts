import { type Change, type ChangeContent, type ChangeEvent, dateOfChange } from '#lib/domain/change.ts';
import { notKnownYet, unavailable } from '#lib/domain/errors.ts';
import { applyEdit, mergeByNumber, toResponse } from '#lib/domain/message.ts';
import {
  type ChatReference,
  chatReference,
  counterReference,
  type MessageReference,
  messageReference,
} from '#lib/domain/reference.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Directory } from '#lib/redis/window/directory.ts';
import type { RecentMessages } from '#lib/redis/window/recent-messages.ts';
import type { WithSenders } from './senders.ts';

/** A larger item comes without its content, and is read by GET. */
const MAX_ITEM_BYTES = 24 * 1024;

type Uses = {
  recentMessages: Pick<RecentMessages, 'messages'>;
  counters: Pick<Counters, 'look'>;
  directory: Pick<Directory, 'pendingChats' | 'application'>;
  messages: Pick<Messages, 'find'>;
  chats: Pick<Chats, 'findAmong' | 'deletedAmong'>;
  applications: Pick<Applications, 'find'>;
  withSenders: WithSenders;
};
/** Content by reference. A missing entry is an item that does not exist. */
type Contents = ReadonlyMap<string, ChangeContent>;

const closed = () =>
  unavailable('The numbers are being recovered. Changes are read again soon.', undefined, 1);

/** Each item once. */
const unique = <Item>(items: readonly Item[], reference: (item: Item) => string): Item[] => [
  ...new Map(items.map((item) => [reference(item), item])).values(),
];

const readMessages = async (
  refs: readonly MessageReference[],
  { recentMessages, messages, chats, withSenders }: Uses,
): Promise<Contents> => {
  if (refs.length === 0) return new Map();
  const { upTo, found } = await recentMessages.messages(refs);
  if (upTo === undefined) throw closed();
  const known = refs.flatMap((ref, at) => {
    const recent = found[at];
    return recent === undefined || recent === 'missing' ? [] : [{ ref, recent }];
  });
  const unsure = known.filter(({ recent }) => !recent.isAuthoritative).map(({ ref }) => ref);
  const wanted = known.filter(({ recent }) => recent.message === undefined || !recent.isAuthoritative);
  const [rows, deleted] = await Promise.all([
    messages.find(wanted.map(({ ref }) => ref)),
    chats.deletedAmong(unsure),
  ]);
  const stored = new Map(rows.map((row) => [messageReference(row), row]));
  const shown = known.flatMap(({ ref, recent }) => {
    if (!recent.isAuthoritative && deleted.has(chatReference(ref))) return [];
    const row = stored.get(messageReference(ref));
    const copies = [recent.message, row].filter((message) => message !== undefined);
    const [message] = mergeByNumber(copies);
    // Without trusted counters, its command may still be on its way.
    if (message === undefined && !recent.isAuthoritative) throw notKnownYet('message');
    return message === undefined ? [] : [applyEdit(message, recent.edit)];
  });
  return new Map(
    (await withSenders(shown)).map((message) => [
      messageReference(message),
      { message: toResponse(message) },
    ]),
  );
};

const readChats = async (
  refs: readonly ChatReference[],
  { counters, directory, chats }: Uses,
): Promise<Contents> => {
  const contents = new Map<string, ChangeContent>();
  for (const [token, ofToken] of Map.groupBy(refs, ({ token }) => token)) {
    const numbers = ofToken.map(({ chatNumber }) => chatNumber);
    const { counts, upTo } = await counters.look(ofToken);
    if (upTo === undefined) throw closed();
    const pending = await directory.pendingChats(token, numbers);
    const rows = await chats.findAmong(
      token,
      numbers.filter((number, at) => counts[at] === 'unknown' || !pending.get(number)?.isNewest),
    );
    for (const [at, chatNumber] of numbers.entries()) {
      const row = rows.find((one) => one.chatNumber === chatNumber);
      const count = counts[at];
      if (count === 'missing' || row?.isDeleted) continue;
      if (count === 'unknown' && row === undefined) throw notKnownYet('chat');
      const messagesCount = typeof count === 'number' ? count : (row?.messagesCount ?? 0);
      const waiting = pending.get(chatNumber);
      const { title } = (waiting && waiting.version >= (row?.version ?? 0) ? waiting : row) ?? {};
      contents.set(chatReference({ token, chatNumber }), {
        chat: { chatNumber, ...(title ? { title } : {}), messagesCount },
      });
    }
  }
  return contents;
};

const readApplications = async (
  tokens: readonly string[],
  { counters, directory, applications }: Uses,
): Promise<Contents> => {
  const contents = new Map<string, ChangeContent>();
  for (const token of tokens) {
    const { counts, upTo } = await counters.look([{ token }]);
    if (upTo === undefined) throw closed();
    const [count] = counts;
    if (count === 'missing') continue;
    const entry = await directory.application(token);
    const row = entry !== undefined && count !== 'unknown' ? undefined : await applications.find(token);
    if (row?.isDeleted) continue;
    const named = entry ?? row;
    if (count === 'unknown' && row === undefined) throw notKnownYet('application');
    if (named === undefined) continue;
    const chatsCount = typeof count === 'number' ? count : (row?.chatsCount ?? 0);
    contents.set(token, { application: { token, name: named.name, chatsCount } });
  }
  return contents;
};

const isDeletedParent = ({ type }: Change): boolean =>
  type === 'application.deleted' || type === 'chat.deleted';

const toEvent = (change: Change, content: ChangeContent): ChangeEvent => {
  const bare: ChangeEvent = { ...change, date: dateOfChange(change) };
  const event = { ...bare, ...content };
  return Buffer.byteLength(JSON.stringify(event)) > MAX_ITEM_BYTES ? bare : event;
};

/**
 * Returns a function that adds their content to changes, by the readers of GET in a strict form. An outage is an error here,
 * because older content under a newer number would never be corrected. It leaves out items that do not exist any more, but no
 * deletion of a chat or an application. @throws unavailable, also while the gate is closed
 */
export const createChangeContent =
  (uses: Uses) =>
  async (changes: readonly Change[]): Promise<ChangeEvent[]> => {
    const living = changes.filter((change) => !isDeletedParent(change));
    const messages = living.flatMap(({ token, chatNumber, messageNumber }) =>
      chatNumber === undefined || messageNumber === undefined ? [] : [{ token, chatNumber, messageNumber }],
    );
    const chats = living.flatMap(({ token, chatNumber, messageNumber }) =>
      chatNumber === undefined || messageNumber !== undefined ? [] : [{ token, chatNumber }],
    );
    const applications = living.flatMap(({ token, chatNumber }) => (chatNumber === undefined ? [token] : []));
    const contents = await Promise.all([
      readMessages(unique(messages, messageReference), uses),
      readChats(unique(chats, chatReference), uses),
      readApplications(unique(applications, String), uses),
    ]);
    const byReference = new Map(contents.flatMap((some) => [...some]));
    return changes.flatMap((change) => {
      if (isDeletedParent(change)) return [toEvent(change, {})];
      const { token, chatNumber, messageNumber } = change;
      const content = byReference.get(
        chatNumber === undefined || messageNumber === undefined
          ? counterReference({ token, chatNumber })
          : messageReference({ token, chatNumber, messageNumber }),
      );
      return content === undefined ? [] : [toEvent(change, content)];
    });
  };

export type ReadChangeContent = ReturnType<typeof createChangeContent>;
