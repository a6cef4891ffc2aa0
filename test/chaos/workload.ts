import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type Api, fieldOf } from './client.ts';
import {
  type ApplicationRecord,
  type ChatRecord,
  type Creation,
  type Deletion,
  deletionsOf,
  type Ledger,
  type MessageRecord,
  mayBeGone,
  mayExist,
  mayShow,
} from './ledger.ts';
import type { Random } from './random.ts';

export type User = { index: number; email: string; password: string; token: string };

const PASSWORD = 'a password of the chaos run';
const WORDS = 'the quick brown fox jumps over the lazy dog while seven zebras yawn'.split(' ');
/** The attempts of a client without an answer, and the pauses between them. */
export const TRIES = 4;
export const RETRY_PAUSE_MS = 250;

/** A deletion that takes as long may be in Redis alone: the handler did not wait longer for MySQL. */
const MYSQL_WAIT_MS = 900;
/** An item is certainly stored after this time, unless the fault is another server's. */
const STORED_AFTER_MS = 10_000;
/** Clients still write to an item for this time after its deletion. */
const LATE_MS = 1_000;

/** Redis alone may know a deletion that MySQL did not take within its second, or whose item is not stored yet. */
export const isStoredAt = (
  { createdAt }: { createdAt: number },
  { sentAt, now }: { sentAt: number; now: number },
): boolean => now - sentAt < MYSQL_WAIT_MS && sentAt - createdAt > STORED_AFTER_MS;

const basic = (email: string, password: string) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;

export const signIn = async (api: Api, email: string): Promise<string> => {
  const answer = await api('POST', '/users/token', { authorization: basic(email, PASSWORD) });
  const token = answer.status === 200 ? fieldOf(answer.body, 'accessToken') : undefined;
  if (typeof token !== 'string') throw new Error(`${email} cannot sign in: ${answer.status}`);
  return token;
};

/** @param name of the user; the address begins with it, too */
export const signUp = async (api: Api, index: number, name = `writer-${index}`): Promise<User> => {
  const email = `${name}@example.com`;
  const answer = await api('POST', '/users', { body: { name, email, password: PASSWORD } });
  if (answer.status !== 200) throw new Error(`${email} cannot sign up: ${answer.status}`);
  return { index, email, password: PASSWORD, token: await signIn(api, email) };
};

/** A 503 has `Retry-After`. The gateway answers 502 or 504 for a function that ran out of time. */
export const isRefusal = (answer: Answer): boolean =>
  answer.status === 502 || answer.status === 504 || (answer.status === 503 && Number(answer.retryAfter) > 0);

export type WorkloadOptions = {
  api: Api;
  ledger: Ledger;
  users: readonly User[];
  random: Random;
  round: number;
  /** The hot chats, to which all users write in every round. */
  standing: readonly ChatRecord[];
  /** True while readers may miss accepted writes: Redis is down, or has lost its state. */
  mayLag: () => boolean;
};

/**
 * Clients at work. Writers create applications, chats and messages, edit their messages, and repeat requests without an
 * answer under the same `Idempotency-Key`. Readers compare answers with the accepted writes.
 */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #hot: ChatRecord[] = [];
  readonly #cold: ChatRecord[] = [];
  readonly #applications: ApplicationRecord[] = [];
  /** Messages whose request was sent once, so that no other message has their words. */
  readonly #sentOnce = new Set<MessageRecord>();
  readonly #own = new Map<number, { chat: ChatRecord; message: MessageRecord }[]>();

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#hot.push(...options.standing);
  }

  start(): void {
    for (const user of this.#options.users) this.#loops.push(this.#loop(() => this.#write(user), 15));
    const [first, second] = this.#options.users;
    for (const user of [first, second]) {
      if (user === undefined) continue;
      this.#loops.push(this.#loop(() => this.#read(user), 40));
      this.#loops.push(this.#loop(() => this.#search(user), 400));
    }
  }

  /** Settles when every request has its answer or has timed out, so that no function still runs one. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  async #loop(step: () => Promise<void>, pauseMs: number): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await step();
      await delay(pauseMs);
    }
  }

  #text(tag: string): string {
    const { random } = this.#options;
    return [tag, ...Array.from({ length: 3 + random.below(6) }, () => random.pick(WORDS))].join(' ');
  }

  /**
   * @param target the message that the request edits: after a deletion an edit is refused; and the deletions of its parents.
   * Without `sentAt` the answer may be the one of an earlier request.
   */
  #note(
    answer: Answer,
    what: string,
    { message, deletions, sentAt }: { message?: MessageRecord; deletions: Deletion[]; sentAt?: number },
  ): void {
    const { ledger, mayLag } = this.#options;
    if (answer.status === 200) {
      ledger.accepted += 1;
      if (sentAt !== undefined && !mayExist(deletions, { from: sentAt, isRedisAway: mayLag() }))
        ledger.contradict('wrong', `${what} was answered 200 after the deletion`);
    } else if (answer.status === 404 && mayBeGone(deletions)) return;
    else if (answer.status === 409 && message?.deletion !== undefined) return;
    else if (answer.status === 'none') ledger.unanswered += 1;
    else if (isRefusal(answer)) ledger.refused += 1;
    // All items in these requests were accepted before, so a 4xx is wrong.
    else ledger.contradict('wrong', `${what} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Sends until the answer is 200, under one key. @returns the field of the answer; undefined without an answer */
  async #create(
    user: User,
    path: string,
    field: string,
    body: object,
    { creation, parents }: { creation: Creation; parents: () => Deletion[] },
  ): Promise<string | number | undefined> {
    const { api, ledger, random, mayLag } = this.#options;
    const send = () => {
      creation.lastSentAt = performance.now();
      creation.sends += 1;
      return api('POST', path, { token: user.token, body, idempotencyKey: creation.tag });
    };
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const answer = await send();
      this.#note(answer, `POST ${path}`, {
        deletions: parents(),
        ...(attempt === 1 ? { sentAt: creation.lastSentAt } : {}),
      });
      if (answer.status === 404) return undefined;
      if (answer.status === 200) {
        const given = fieldOf(answer.body, field);
        if (typeof given !== 'string' && typeof given !== 'number') {
          ledger.contradict('wrong', `POST ${path} was answered without ${field}`);
          return undefined;
        }
        if (random.next() < 0.05 && !mayLag()) {
          const again = await send();
          if (again.status === 200 && fieldOf(again.body, field) !== given && !mayLag())
            ledger.contradict(
              'twice',
              `POST ${path}, the same key: ${given}, then ${fieldOf(again.body, field)}`,
            );
        }
        return given;
      }
      if (this.#stopped.signal.aborted) break;
      await delay(RETRY_PAUSE_MS * attempt);
    }
    return undefined;
  }

  #creation(sent: Map<string, Creation>, kind: string): Creation {
    const tag = this.#options.ledger.tag(kind);
    const now = performance.now();
    const creation = { tag, firstSentAt: now, lastSentAt: now, sends: 0 };
    sent.set(tag, creation);
    return creation;
  }

  async #write(user: User): Promise<void> {
    const { random } = this.#options;
    const dice = random.next();
    if (this.#applications.length === 0 || dice < 0.03) return this.#createApplication(user);
    if (dice < 0.1) return this.#createChat(user);
    if (dice < 0.13) return this.#rename();
    if (dice < 0.4) return this.#edit(user);
    if (dice < 0.5) return this.#delete(user);
    return this.#createMessage(user);
  }

  async #createApplication(user: User): Promise<void> {
    const { ledger, round } = this.#options;
    const creation = this.#creation(ledger.sentApplications, 'a');
    const needle = ledger.needles.make();
    const name = this.#text(`${creation.tag} ${needle}`);
    const of = { creation, parents: () => [] };
    const token = await this.#create(user, '/applications', 'token', { name }, of);
    if (typeof token !== 'string') return;
    ledger.keepApplication(round, user.index, token, { tag: creation.tag, name, needles: [needle] });
    const application = ledger.applications.get(token);
    if (application === undefined) return;
    this.#applications.push(application);
    if (this.#applications.length === 1) await Promise.all([this.#createChat(user), this.#createChat(user)]);
  }

  async #createChat(user: User): Promise<void> {
    const { ledger, round, random } = this.#options;
    const application = random.pick(this.#present(this.#applications));
    if (application === undefined) return;
    const creation = this.#creation(application.sent, 'c');
    const needle = ledger.needleFor(application);
    const title = `${creation.tag} ${needle}`;
    const path = `/applications/${application.token}/chats`;
    const number = await this.#create(
      user,
      path,
      'chatNumber',
      { title },
      {
        creation,
        parents: () => deletionsOf(application),
      },
    );
    if (typeof number !== 'number') return;
    ledger.keepChat(application, round, number, {
      tag: creation.tag,
      title,
      creator: user.index,
      needles: [needle],
    });
    const chat = application.chats.get(number);
    if (chat !== undefined) (this.#present(this.#hot).length < 4 ? this.#hot : this.#cold).push(chat);
  }

  /** Forgets items that were deleted a while ago. */
  #present<Item extends ChatRecord | ApplicationRecord>(items: Item[]): Item[] {
    const now = performance.now();
    const isLong = (item: Item) => deletionsOf(item).some(({ endedAt }) => endedAt + LATE_MS < now);
    for (let i = items.length - 1; i >= 0; i -= 1) {
      const item = items[i];
      if (item !== undefined && isLong(item)) items.splice(i, 1);
    }
    return items;
  }

  #someChat(): ChatRecord | undefined {
    const { random } = this.#options;
    const [hot, cold] = [this.#present(this.#hot), this.#present(this.#cold)];
    return (random.next() < 0.7 ? random.pick(hot) : undefined) ?? random.pick(cold) ?? random.pick(hot);
  }

  async #createMessage(user: User): Promise<void> {
    const { ledger } = this.#options;
    const chat = this.#someChat();
    if (chat === undefined) return;
    const creation = this.#creation(chat.sent, 'm');
    const needle = ledger.needleFor(chat);
    const body = this.#text(`${creation.tag} ${needle}`);
    const path = `/applications/${chat.token}/chats/${chat.number}/messages`;
    const of = { creation, parents: () => deletionsOf(chat) };
    const number = await this.#create(user, path, 'messageNumber', { body }, of);
    if (typeof number !== 'number') return;
    const message = ledger.keepMessage(chat, user.index, number, {
      tag: creation.tag,
      body,
      needles: [needle],
    });
    if (creation.sends === 1) this.#sentOnce.add(message);
    const own = this.#own.get(user.index) ?? [];
    own.push({ chat, message });
    if (own.length > 50) own.shift();
    this.#own.set(user.index, own);
  }

  async #edit(user: User): Promise<void> {
    const { ledger, random } = this.#options;
    const target = random.pick(this.#own.get(user.index) ?? []);
    if (target === undefined || target.message.deletion !== undefined) return this.#createMessage(user);
    const path = `/applications/${target.chat.token}/chats/${target.chat.number}/messages/${target.message.number}`;
    const edit = async () => {
      const needle = ledger.needleFor(target.chat);
      target.message.needles.push(needle);
      const body = this.#text(`${ledger.tag('e')} ${needle}`);
      await this.#put(
        user,
        path,
        target.message.body,
        { value: body, body: { body } },
        {
          message: target.message,
          deletions: () => deletionsOf(target.chat),
        },
      );
    };
    // Two at once now and then: either may win.
    await Promise.all(random.next() < 0.2 ? [edit(), edit()] : [edit()]);
  }

  /**
   * Deletes a message, as its sender or as the creator of the application. A message that was sent twice may exist twice
   * after a loss of the keys, so its words may stay.
   */
  async #delete(user: User): Promise<void> {
    const { api, ledger, random, users } = this.#options;
    const own = (this.#own.get(user.index) ?? []).filter(({ message }) => this.#sentOnce.has(message));
    const target = random.pick(own);
    if (target === undefined || target.message.deletion !== undefined) return this.#createMessage(user);
    const { chat, message } = target;
    const owner = users.find(({ index }) => index === ledger.applications.get(chat.token)?.owner) ?? user;
    const { token } = random.next() < 0.3 ? owner : user;
    const path = `/applications/${chat.token}/chats/${chat.number}/messages/${message.number}`;
    message.deletion = {
      beganAt: performance.now(),
      endedAt: Number.POSITIVE_INFINITY,
      isStored: false,
    };
    for (let attempt = 1; attempt <= TRIES && !this.#stopped.signal.aborted; attempt += 1) {
      const sentAt = performance.now();
      const answer = await api('DELETE', path, { token });
      this.#note(answer, `DELETE ${path}`, { deletions: deletionsOf(chat), sentAt });
      if (answer.status === 404) return;
      if (answer.status === 200) {
        const now = performance.now();
        const isStored = isStoredAt(message, { sentAt, now });
        message.deletion = { ...message.deletion, endedAt: now, isStored };
        ledger.needles.deleted(message.needles, { at: now, isStored });
        ledger.deletions += 1;
        return;
      }
      await delay(RETRY_PAUSE_MS * attempt);
    }
  }

  async #rename(): Promise<void> {
    const { random, users, ledger } = this.#options;
    const application = random.pick(this.#present(this.#applications));
    const owner = users.find(({ index }) => index === application?.owner);
    if (application === undefined || owner === undefined) return;
    const name = this.#text(`${ledger.tag('n')} ${ledger.needleFor(application)}`);
    const path = `/applications/${application.token}`;
    await this.#put(
      owner,
      path,
      application.name,
      { value: name, body: { name } },
      {
        deletions: () => deletionsOf(application),
      },
    );
  }

  async #put(
    user: User,
    path: string,
    register: MessageRecord['body'],
    { value, body }: { value: string; body: object },
    { message, deletions }: { message?: MessageRecord; deletions: () => Deletion[] },
  ): Promise<void> {
    const sentAt = performance.now();
    const write = register.begin(value, sentAt);
    const answer = await this.#options.api('PUT', path, { token: user.token, body });
    this.#note(answer, `PUT ${path}`, {
      deletions: deletions(),
      sentAt,
      ...(message === undefined ? {} : { message }),
    });
    if (answer.status === 200) write.acknowledged(performance.now());
  }

  /** Checks that readers see an accepted message, with a value that it may have. */
  async #read(user: User): Promise<void> {
    const { api, ledger, mayLag, random } = this.#options;
    const chat = this.#someChat();
    if (chat === undefined || chat.messages.size === 0) return;
    const message = random.pick([...chat.messages.values()].slice(-20));
    if (message === undefined) return;
    const base = `/applications/${chat.token}/chats/${chat.number}/messages`;
    const from = performance.now();
    const laggedBefore = mayLag();
    const single = random.next() < 0.5;
    const answer = await api('GET', single ? `${base}/${message.number}` : `${base}?limit=20`, {
      token: user.token,
    });
    const to = performance.now();
    this.#checkNeedles(answer, base, from, laggedBefore);
    if (answer.status === 'none' || laggedBefore || mayLag()) return;
    if (isRefusal(answer)) return;
    const deletions = deletionsOf(chat);
    if (answer.status === 404 && mayBeGone(deletions, { to })) return;
    if (answer.status === 200 && !mayExist(deletions, { from, isRedisAway: false }))
      ledger.contradict('shown', `GET ${base} was answered 200 after the deletion`);
    if (answer.status !== 200) {
      ledger.contradict('wrong', `GET ${base}/${message.number} was answered ${answer.status}`);
      return;
    }
    for (const seen of Array.isArray(answer.body) ? answer.body : [answer.body]) {
      const number = fieldOf(seen, 'messageNumber');
      const body = fieldOf(seen, 'body');
      const known = typeof number === 'number' ? chat.messages.get(number) : undefined;
      if (known !== undefined && (typeof body !== 'string' || !mayShow(known, body, from, to)))
        ledger.contradict(
          'wrong',
          `GET ${base}${single ? '/' : ' page: '}${number} shows "${body}", which was superseded`,
        );
    }
  }

  /** Searches words of a deleted message, which no search may find. */
  async #search(user: User): Promise<void> {
    const { api, ledger, mayLag, random } = this.#options;
    const chat = this.#someChat();
    const needle = ledger.needles.pick((of) => random.pick(of));
    if (chat === undefined || needle === undefined) return;
    const path = `/applications/${chat.token}/messages/search?q=${needle}`;
    const from = performance.now();
    const laggedBefore = mayLag();
    this.#checkNeedles(await api('GET', path, { token: user.token }), path, from, laggedBefore);
  }

  #checkNeedles(answer: Answer, path: string, from: number, laggedBefore: boolean): void {
    const { ledger, mayLag } = this.#options;
    if (answer.status !== 200) return;
    const isRedisAway = laggedBefore || mayLag();
    for (const needle of ledger.needles.shownIn(JSON.stringify(answer.body), { from, isRedisAway }))
      ledger.contradict('shown', `GET ${path} shows ${needle} of a deleted message`);
  }
}
