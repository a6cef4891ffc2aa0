import { Needles } from './needles.ts';
import { Register } from './register.ts';

/** A request that creates an item. The item contains its tag, which identifies the request without an answer. */
export type Creation = {
  tag: string;
  firstSentAt: number;
  lastSentAt: number;
  /** How often it was sent. */
  sends: number;
};

/** A deletion that was begun. `endedAt`: the time of its 200, infinite without one. `isStored`: MySQL certainly has it. */
export type Deletion = { beganAt: number; endedAt: number; isStored: boolean };

/** The time of a request. While Redis is away, readers may miss its pending writes. */
export type Seen = { from: number; to: number; isRedisAway: boolean };

/** True if an answer may show an item with these deletions, its own and its parent's. */
export const mayExist = (deletions: readonly Deletion[], { from, isRedisAway }: Omit<Seen, 'to'>): boolean =>
  deletions.every(({ endedAt, isStored }) => endedAt >= from || (isRedisAway && !isStored));

/** True if an answer may be without an item with these deletions. */
export const mayBeGone = (
  deletions: readonly Deletion[],
  { to }: Pick<Seen, 'to'> = { to: Number.POSITIVE_INFINITY },
): boolean => deletions.some(({ beganAt }) => beganAt <= to);

export type MessageRecord = {
  number: number;
  tag: string;
  body: Register;
  sender: number;
  createdAt: number;
  /** The random words of all its bodies, sent or accepted. */
  needles: string[];
  deletion?: Deletion;
};

/** True if a read that lasts from `from` to `to` may show this body. A deletion is the last edit: it wins over all others. */
export const mayShow = (
  { body, deletion }: MessageRecord,
  shown: string,
  from = Number.POSITIVE_INFINITY,
  to = Number.POSITIVE_INFINITY,
): boolean => {
  if (deletion === undefined) return body.allows(shown, from, to);
  if (shown === '') return deletion.beganAt <= to;
  return deletion.endedAt >= from && body.allows(shown, from, to);
};

export type ChatRecord = {
  application: ApplicationRecord;
  token: string;
  number: number;
  tag: string;
  title: string;
  creator: number;
  round: number;
  createdAt: number;
  messages: Map<number, MessageRecord>;
  /** Messages that were sent here, answered or not. */
  sent: Map<string, Creation>;
  /** Messages without an answer of accounts that are erased: their rows may be blank. */
  mayBeBlank: number;
  /** The random words of its title, and of all messages that were sent here, answered or not. */
  needles: string[];
  deletion?: Deletion;
};

export type ApplicationRecord = {
  token: string;
  tag: string;
  round: number;
  owner: number;
  name: Register;
  createdAt: number;
  chats: Map<number, ChatRecord>;
  sent: Map<string, Creation>;
  /** The random words of its names, and of the titles that were sent here. */
  needles: string[];
  deletion?: Deletion;
};

/** An account whose erasure was begun. */
export type ErasedAccount = {
  /** Its messages, in whatever chat. */
  messages: MessageRecord[];
  /** The random words of its name, address and messages, and its handle. */
  needles: string[];
  /** The time of the first request to erase it, and of its 200: all access tokens have ended. */
  beganAt: number;
  revokedAt: number;
  /** Also true if a repeated request found no account. */
  isErased: boolean;
};

/** The deletions that take away a chat or an application. */
export const deletionsOf = (item: ChatRecord | ApplicationRecord): Deletion[] =>
  [item.deletion, 'application' in item ? item.application.deletion : undefined].filter(
    (one) => one !== undefined,
  );

/** The first word of a value is the tag of its writer. */
export const tagOf = (text: string): string => text.split(' ', 1)[0] ?? '';

/** The findings that answers alone show. */
type Contradiction = 'twice' | 'wrong' | 'shown' | 'admitted';

/**
 * The answers that clients got, which the audit compares with the system. A write with a 200 must exist. A write without
 * an answer may or may not exist.
 */
export class Ledger {
  readonly applications = new Map<string, ApplicationRecord>();
  readonly sentApplications = new Map<string, Creation>();
  readonly needles = new Needles();
  /** Contradictions among the answers themselves. */
  readonly contradictions: { kind: Contradiction; what: string }[] = [];
  accepted = 0;
  refused = 0;
  unanswered = 0;
  deletions = 0;
  deletedChats = 0;
  deletedApplications = 0;
  erasedAccounts = 0;
  revocations = 0;
  readonly #erasing: ErasedAccount[] = [];
  #tags = 0;

  tag(kind: string): string {
    this.#tags += 1;
    return `${kind}${this.#tags}`;
  }

  contradict(kind: Contradiction, what: string): void {
    this.contradictions.push({ kind, what });
  }

  keepApplication(
    round: number,
    owner: number,
    token: string,
    { tag, name, needles }: { tag: string; name: string; needles: string[] },
  ): void {
    if (this.applications.has(token)) this.contradict('twice', `application ${token} was given twice`);
    const createdAt = performance.now();
    this.applications.set(token, {
      token,
      tag,
      round,
      owner,
      name: new Register(name, createdAt),
      createdAt,
      chats: new Map(),
      sent: new Map(),
      needles,
    });
  }

  keepChat(
    application: ApplicationRecord,
    round: number,
    number: number,
    { tag, title, creator, needles }: { tag: string; title: string; creator: number; needles: string[] },
  ): void {
    if (application.chats.has(number))
      this.contradict('twice', `chat ${application.token}/${number} was given twice`);
    application.chats.set(number, {
      application,
      token: application.token,
      number,
      tag,
      title,
      creator,
      round,
      createdAt: performance.now(),
      messages: new Map(),
      sent: new Map(),
      mayBeBlank: 0,
      needles,
    });
  }

  keepMessage(
    chat: ChatRecord,
    sender: number,
    number: number,
    { tag, body, needles }: { tag: string; body: string; needles: string[] },
  ): MessageRecord {
    if (chat.messages.has(number))
      this.contradict('twice', `message ${chat.token}/${chat.number}/${number} was given twice`);
    const createdAt = performance.now();
    const message = { number, tag, body: new Register(body, createdAt), sender, createdAt, needles };
    chat.messages.set(number, message);
    return message;
  }

  /** A random word for a text of this item. No answer shows it after the deletion of the item, whenever the text is sent. */
  needleFor(item: ChatRecord | ApplicationRecord): string {
    const needle = this.needles.make();
    item.needles.push(needle);
    for (const { endedAt, isStored } of deletionsOf(item))
      if (endedAt < Number.POSITIVE_INFINITY) this.needles.deleted([needle], { at: endedAt, isStored });
    return needle;
  }

  /** Notes the 200 of a deletion. */
  deletedItem(item: ChatRecord | ApplicationRecord, deletion: Deletion): void {
    const { endedAt: at, isStored } = deletion;
    const isChat = 'application' in item;
    const chats = isChat ? [item] : [...item.chats.values()];
    for (const { needles } of isChat ? chats : [item, ...chats])
      this.needles.deleted(needles, { at, isStored });
    if (isChat) this.deletedChats += 1;
    else this.deletedApplications += 1;
  }

  /** Notes an erased account. Until `eraseDeleted` has run, its words may be shown. */
  erasedAccount(account: ErasedAccount): void {
    this.#erasing.push(account);
    this.needles.erasing(account.needles);
    this.erasedAccounts += 1;
  }

  /** Notes that `eraseDeleted` has run: no answer shows the words of erased accounts any more. */
  erasuresEnded(): void {
    const at = performance.now();
    for (const { messages, needles } of this.#erasing.splice(0)) {
      for (const { deletion } of messages)
        if (deletion !== undefined) deletion.endedAt = Math.min(at, deletion.endedAt);
      this.needles.deleted(needles, { at, isStored: true });
    }
  }
}
