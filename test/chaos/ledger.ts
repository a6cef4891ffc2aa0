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

/** A deletion that was begun. `endedAt`: the time of its 200, infinite without one. */
type Deletion = { beganAt: number; endedAt: number };

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
  token: string;
  number: number;
  tag: string;
  round: number;
  messages: Map<number, MessageRecord>;
  /** Messages that were sent here, answered or not. */
  sent: Map<string, Creation>;
};

export type ApplicationRecord = {
  token: string;
  tag: string;
  round: number;
  owner: number;
  name: Register;
  chats: Map<number, ChatRecord>;
  sent: Map<string, Creation>;
};

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
  revocations = 0;
  #tags = 0;

  tag(kind: string): string {
    this.#tags += 1;
    return `${kind}${this.#tags}`;
  }

  contradict(kind: Contradiction, what: string): void {
    this.contradictions.push({ kind, what });
  }

  keepApplication(round: number, owner: number, token: string, tag: string, name: string): void {
    if (this.applications.has(token)) this.contradict('twice', `application ${token} was given twice`);
    this.applications.set(token, {
      token,
      tag,
      round,
      owner,
      name: new Register(name, performance.now()),
      chats: new Map(),
      sent: new Map(),
    });
  }

  keepChat(application: ApplicationRecord, round: number, number: number, tag: string): void {
    if (application.chats.has(number))
      this.contradict('twice', `chat ${application.token}/${number} was given twice`);
    application.chats.set(number, {
      token: application.token,
      number,
      tag,
      round,
      messages: new Map(),
      sent: new Map(),
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
}
