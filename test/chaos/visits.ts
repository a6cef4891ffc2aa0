import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type Api, fieldOf } from './client.ts';
import { type ChatRecord, deletionsOf, type ErasedAccount, type Ledger, mayBeGone } from './ledger.ts';
import type { Random } from './random.ts';
import { isRefusal, signUp, type User } from './workload.ts';

/** A visitor stays for so long, and one more time this at most. */
const STAY_MS = 1_500;
const WRITE_PAUSE_MS = 100;
/** An erasure is tried again until it succeeds, also after the fault. */
const TRIES = 80;
const RETRY_PAUSE_MS = 500;

type Options = {
  api: Api;
  ledger: Ledger;
  random: Random;
  /** The first number of this round's visitors. */
  firstIndex: number;
};

/** Users who write for a while and then erase their account, while they still write. */
export class Visits {
  readonly #options: Options;
  readonly #stopped = new AbortController();
  #loop: Promise<void> | undefined;
  #index: number;

  constructor(options: Options) {
    this.#options = options;
    this.#index = options.firstIndex;
  }

  start(): void {
    this.#loop = this.#visitAgainAndAgain();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #visitAgainAndAgain(): Promise<void> {
    const { api, ledger, random } = this.#options;
    while (!this.#stopped.signal.aborted) {
      await delay(WRITE_PAUSE_MS);
      const name = ledger.needles.make();
      const user = await signUp(api, this.#index++, name).catch(() => undefined);
      if (user !== undefined) await this.#visit(user, name, STAY_MS * (1 + random.next()));
    }
  }

  async #visit(user: User, name: string, stayMs: number): Promise<void> {
    const never = Number.POSITIVE_INFINITY;
    const account: ErasedAccount = {
      messages: [],
      needles: [name],
      beganAt: never,
      revokedAt: never,
      isErased: false,
    };
    const handle = await this.#options.api('GET', '/users/me', { token: user.token });
    const known = handle.status === 200 ? fieldOf(handle.body, 'handle') : undefined;
    if (typeof known === 'string') account.needles.push(known);
    const left = new AbortController();
    const writing = this.#writeUntil(left.signal, user, account);
    await Promise.race([delay(stayMs), this.#whenStopped()]);
    try {
      await this.#erase(user, account);
      // An access token that has ended is tried a few times more.
      await delay(3 * WRITE_PAUSE_MS);
    } finally {
      left.abort();
      await writing;
    }
    if (account.isErased) this.#options.ledger.erasedAccount(account);
  }

  #whenStopped(): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #someChat(): ChatRecord | undefined {
    const { ledger, random } = this.#options;
    const application = random.pick([...ledger.applications.values()].filter(({ deletion }) => !deletion));
    return random.pick([...(application?.chats.values() ?? [])].filter(({ deletion }) => !deletion));
  }

  async #writeUntil(signal: AbortSignal, user: User, account: ErasedAccount): Promise<void> {
    const { random } = this.#options;
    while (!signal.aborted) {
      const chat = this.#someChat();
      if (chat !== undefined) await this.#write(user, chat, account);
      await delay(WRITE_PAUSE_MS * (0.5 + random.next()));
    }
  }

  async #write(user: User, chat: ChatRecord, account: ErasedAccount): Promise<void> {
    const { api, ledger } = this.#options;
    const needle = ledger.needleFor(chat);
    account.needles.push(needle);
    const tag = ledger.tag('m');
    const body = `${tag} ${needle} of a visitor`;
    const from = performance.now();
    chat.sent.set(tag, { tag, firstSentAt: from, lastSentAt: from, sends: 1 });
    const path = `/applications/${chat.token}/chats/${chat.number}/messages`;
    const answer = await api('POST', path, { token: user.token, body: { body }, idempotencyKey: tag });
    const number = answer.status === 200 ? fieldOf(answer.body, 'messageNumber') : undefined;
    if (typeof number !== 'number') {
      chat.mayBeBlank += 1;
      this.#noteRefusal(answer, `POST ${path}`, { account, chat });
      return;
    }
    ledger.accepted += 1;
    if (account.revokedAt < from) ledger.contradict('admitted', `POST ${path} of an account that was erased`);
    const message = ledger.keepMessage(chat, user.index, number, { tag, body, needles: [needle] });
    // Its erasure may blank it at any time from the request on.
    message.deletion = { beganAt: from, endedAt: Number.POSITIVE_INFINITY, isStored: false };
    account.messages.push(message);
  }

  #noteRefusal(answer: Answer, what: string, of: { account: ErasedAccount; chat: ChatRecord }): void {
    const { ledger } = this.#options;
    if (answer.status === 'none') ledger.unanswered += 1;
    else if (isRefusal(answer)) ledger.refused += 1;
    else if (answer.status === 404 && mayBeGone(deletionsOf(of.chat))) return;
    else if (answer.status === 401 && of.account.beganAt < Number.POSITIVE_INFINITY) return;
    else ledger.contradict('wrong', `${what} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** A request without an answer may have had its effect: then the next one finds no account with this password. */
  async #erase({ email, password }: User, account: ErasedAccount): Promise<void> {
    const { api, ledger } = this.#options;
    const authorization = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
    account.beganAt = performance.now();
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const answer = await api('DELETE', '/users/me', { authorization });
      if (answer.status === 200 || (answer.status === 401 && attempt > 1)) {
        account.isErased = true;
        if (answer.status === 200) account.revokedAt = performance.now();
        const again = await api('POST', '/users/token', { authorization });
        if (again.status === 200) ledger.contradict('admitted', 'an erased account signed in');
        return;
      }
      if (answer.status === 'none') ledger.unanswered += 1;
      else if (isRefusal(answer)) ledger.refused += 1;
      else ledger.contradict('wrong', `DELETE /users/me was answered ${answer.status}`);
      await delay(RETRY_PAUSE_MS);
    }
  }
}
