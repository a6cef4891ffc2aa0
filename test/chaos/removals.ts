import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type Api, fieldOf } from './client.ts';
import {
  type ApplicationRecord,
  type ChatRecord,
  deletionsOf,
  type Ledger,
  mayBeGone,
  mayExist,
} from './ledger.ts';
import type { Random } from './random.ts';
import { isRefusal, isStoredAt, RETRY_PAUSE_MS, TRIES, type User } from './workload.ts';

/** The pauses between deletions, and between the requests of one reader. */
const CHAT_PAUSE_MS = 500;
const APPLICATION_PAUSE_MS = 2_500;
const READ_PAUSE_MS = 60;
/** Readers ask for one of so many items that were deleted last. */
const LAST = 30;

type Item = ChatRecord | ApplicationRecord;

type Options = {
  api: Api;
  ledger: Ledger;
  users: readonly User[];
  random: Random;
  /** Chats that every round writes to. They and their applications stay. */
  standing: readonly ChatRecord[];
  /** True while readers may miss pending writes of Redis. */
  mayLag: () => boolean;
};

const isChat = (item: Item): item is ChatRecord => 'application' in item;

const pathOf = (item: Item): string =>
  isChat(item) ? `/applications/${item.token}/chats/${item.number}` : `/applications/${item.token}`;

type Probe = [method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object];

/** Every route below a chat or an application. */
const probesOf = (item: Item, { random, ledger }: Pick<Options, 'random' | 'ledger'>): Probe[] => {
  const path = pathOf(item);
  const text = () => `${ledger.tag('m')} ${ledger.needleFor(item)}`;
  if (!isChat(item))
    return [
      ['GET', path],
      ['PUT', path, { name: text() }],
      ['DELETE', path],
      ['GET', `${path}/chats`],
      ['POST', `${path}/chats`, { title: text() }],
      ['GET', `${path}/messages/search?q=needle`],
      ...[...item.chats.values()].slice(0, 1).flatMap((chat) => probesOf(chat, { random, ledger })),
    ];
  const message = random.pick([...item.messages.keys()].slice(-20)) ?? 1;
  return [
    ['GET', path],
    ['PUT', path, { title: text() }],
    ['DELETE', path],
    ['PUT', `${path}/read`, { messageNumber: message }],
    ['GET', `${path}/messages`],
    ['GET', `${path}/messages?after=start`],
    ['POST', `${path}/messages`, { body: text() }],
    ['GET', `${path}/messages/${message}`],
    ['PUT', `${path}/messages/${message}`, { body: text() }],
    ['DELETE', `${path}/messages/${message}`],
    ['GET', `${path}/messages/search?q=needle`],
  ];
};

/** Clients delete chats and applications. Readers ask for deleted items on every route, and compare the lists. */
export class Removals {
  readonly #options: Options;
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #deleted: Item[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  start(): void {
    this.#loops.push(
      this.#loop(() => this.#deleteChat(), CHAT_PAUSE_MS),
      this.#loop(() => this.#deleteApplication(), APPLICATION_PAUSE_MS),
      this.#loop(() => this.#probe(), READ_PAUSE_MS),
      this.#loop(() => this.#listChats(), READ_PAUSE_MS),
      this.#loop(() => this.#listApplications(), 5 * READ_PAUSE_MS),
    );
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  async #loop(step: () => Promise<void>, pauseMs: number): Promise<void> {
    const { random } = this.#options;
    while (!this.#stopped.signal.aborted) {
      await delay(pauseMs * (0.5 + random.next()));
      await step();
    }
  }

  #userOf(index: number): User | undefined {
    return this.#options.users.find((user) => user.index === index);
  }

  /** Applications that may be deleted or lose chats: the first one serves the harness itself. */
  #applications(): ApplicationRecord[] {
    const { ledger, standing } = this.#options;
    const kept = new Set(standing.map(({ token }) => token));
    return [...ledger.applications.values()]
      .slice(1)
      .filter(({ token, deletion }) => deletion === undefined && !kept.has(token));
  }

  async #deleteChat(): Promise<void> {
    const { ledger, random, standing } = this.#options;
    const [first] = ledger.applications.values();
    const applications = random.next() < 0.5 && first !== undefined ? [first] : this.#applications();
    const chats = [...(random.pick(applications)?.chats.values() ?? [])]
      .slice(applications[0] === first ? 1 : 0)
      .filter((chat) => chat.deletion === undefined && !standing.includes(chat));
    const chat = random.pick(random.next() < 0.5 ? chats.slice(-5) : chats);
    if (chat === undefined) return;
    const user = this.#userOf(random.next() < 0.5 ? chat.creator : chat.application.owner);
    if (user !== undefined) await this.#delete(chat, user);
  }

  async #deleteApplication(): Promise<void> {
    const { random } = this.#options;
    const application = random.pick(this.#applications());
    const user = this.#userOf(application?.owner ?? 0);
    if (application !== undefined && user !== undefined) await this.#delete(application, user);
  }

  /** A deletion that was sent again is answered 404 if the first request had its effect. */
  async #delete(item: Item, { token }: User): Promise<void> {
    const { api, ledger } = this.#options;
    const path = pathOf(item);
    const deletion = {
      beganAt: performance.now(),
      endedAt: Number.POSITIVE_INFINITY,
      isStored: false,
    };
    const parents = () => deletionsOf(item).filter((one) => one !== deletion);
    item.deletion = deletion;
    for (let attempt = 1; attempt <= TRIES && !this.#stopped.signal.aborted; attempt += 1) {
      const sentAt = performance.now();
      const answer = await api('DELETE', path, { token });
      const now = performance.now();
      const isGone = answer.status === 404 && (attempt > 1 || mayBeGone(parents()));
      if (answer.status === 200 || isGone) {
        deletion.endedAt = now;
        deletion.isStored = answer.status === 200 && isStoredAt(item, { sentAt, now });
        ledger.deletedItem(item, deletion);
        this.#deleted.push(item);
        return;
      }
      this.#note(answer, `DELETE ${path}`);
      await delay(RETRY_PAUSE_MS * attempt);
    }
  }

  #note(answer: Answer, what: string): void {
    const { ledger } = this.#options;
    if (answer.status === 'none') ledger.unanswered += 1;
    else if (isRefusal(answer)) ledger.refused += 1;
    else ledger.contradict('wrong', `${what} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Asks one route for a deleted item, also with new text, which must not appear anywhere. */
  async #probe(): Promise<void> {
    const { api, ledger, random, mayLag } = this.#options;
    const item = random.pick(this.#deleted.slice(-LAST));
    if (item === undefined) return;
    const [method, path, body] = random.pick(probesOf(item, { random, ledger })) ?? ['GET', pathOf(item)];
    const user = random.pick(this.#options.users);
    if (user === undefined) return;
    const from = performance.now();
    const laggedBefore = mayLag();
    const answer = await api(method, path, { token: user.token, ...(body === undefined ? {} : { body }) });
    if (answer.status === 404 || answer.status === 'none' || isRefusal(answer)) return;
    const isRedisAway = laggedBefore || mayLag();
    if (mayExist(deletionsOf(item), { from, isRedisAway })) return;
    ledger.contradict('shown', `${method} ${path} was answered ${answer.status} after the deletion`);
  }

  /** Compares one page of chats with the accepted writes. */
  async #listChats(): Promise<void> {
    const { ledger, random } = this.#options;
    const [first] = ledger.applications.values();
    const application = random.next() < 0.5 ? first : random.pick(this.#applications());
    const user = random.pick(this.#options.users);
    if (application === undefined || user === undefined) return;
    const page = 1 + random.below(1 + Math.floor(application.chats.size / 20));
    const path = `${pathOf(application)}/chats?limit=20&page=${page}`;
    const inRange = [...application.chats.values()].filter(
      ({ number }) => number > (page - 1) * 20 && number <= page * 20,
    );
    await this.#list(path, { user, known: inRange, named: (one) => fieldOf(one, 'chatNumber') });
  }

  async #listApplications(): Promise<void> {
    const { ledger, random } = this.#options;
    const user = random.pick(this.#options.users);
    if (user === undefined) return;
    const own = [...ledger.applications.values()].filter(({ owner }) => owner === user.index);
    // Only deleted applications count here: a new one may be on another page.
    const known = own.filter(({ deletion }) => deletion !== undefined);
    const path = `/applications?limit=100&page=${1 + random.below(1 + Math.floor(own.length / 100))}`;
    await this.#list(path, { user, known, named: (one) => fieldOf(one, 'token') });
  }

  async #list(
    path: string,
    { user, known, named }: { user: User; known: readonly Item[]; named: (one: unknown) => unknown },
  ): Promise<void> {
    const { api, ledger, mayLag } = this.#options;
    const from = performance.now();
    const laggedBefore = mayLag();
    const answer = await api('GET', path, { token: user.token });
    const to = performance.now();
    if (answer.status !== 200 || !Array.isArray(answer.body)) return;
    const isRedisAway = laggedBefore || mayLag();
    for (const needle of ledger.needles.shownIn(JSON.stringify(answer.body), { from, isRedisAway }))
      ledger.contradict('shown', `GET ${path} shows ${needle} of a deleted item`);
    const shown = new Set(answer.body.map(named));
    for (const item of known) {
      const isShown = shown.has(isChat(item) ? item.number : item.token);
      const deletions = deletionsOf(item);
      if (isShown && !mayExist(deletions, { from, isRedisAway }))
        ledger.contradict('shown', `GET ${path} lists ${pathOf(item)}, which is deleted`);
      if (!isShown && !isRedisAway && !mayBeGone(deletions, { to }))
        ledger.contradict('wrong', `GET ${path} leaves out ${pathOf(item)}, which is not deleted`);
    }
  }
}
