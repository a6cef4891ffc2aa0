import { setTimeout as delay } from 'node:timers/promises';
import { type Api, fieldOf } from './client.ts';
import type { ChatRecord, Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { signIn, type User } from './workload.ts';

/** An access token, and its end: when the revocation was sent, and when its 200 came. */
type Issued = { accessToken: string; revokingAt: number; revokedAt: number };
type Guest = { user: User; issued: Issued[] };

const newlyIssued = (accessToken: string): Issued => ({
  accessToken,
  revokingAt: Number.POSITIVE_INFINITY,
  revokedAt: Number.POSITIVE_INFINITY,
});

const CLIENTS_EACH = 10;
/** The pause between the requests of one client, and between revocations. */
const CLIENT_PAUSE_MS = 1_000;
const REVOKE_PAUSE_MS = 500;
/** Clients go on with tokens that have ended. */
const KEPT_TOKENS = 3;

type Options = {
  api: Api;
  ledger: Ledger;
  random: Random;
  /** Where the guests read and write. */
  chat: () => ChatRecord | undefined;
};

/**
 * Ten readers and writers for each guest, while the guest signs out everywhere again and again. After the 200 no request
 * with an older token succeeds, whatever server is down.
 */
export class Revocation {
  readonly #options: Options;
  readonly #guests: Guest[];
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];

  constructor(guests: readonly User[], options: Options) {
    this.#guests = guests.map((user) => ({ user, issued: [newlyIssued(user.token)] }));
    this.#options = options;
  }

  start(): void {
    for (const guest of this.#guests) {
      this.#loops.push(this.#loop(() => this.#revoke(guest), REVOKE_PAUSE_MS));
      for (let client = 0; client < CLIENTS_EACH; client += 1)
        this.#loops.push(this.#loop(() => this.#use(guest), CLIENT_PAUSE_MS));
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  async #loop(step: () => Promise<void>, pauseMs: number): Promise<void> {
    const { random } = this.#options;
    while (!this.#stopped.signal.aborted) {
      await step();
      await delay(pauseMs * (0.5 + random.next()));
    }
  }

  /** Signs in, and the next time signs out everywhere. */
  async #revoke({ user, issued }: Guest): Promise<void> {
    const { api, ledger } = this.#options;
    const [newest] = issued;
    if (newest === undefined || newest.revokingAt < Number.POSITIVE_INFINITY) {
      const accessToken = await signIn(api, user.email).catch(() => undefined);
      if (accessToken === undefined) return;
      user.token = accessToken;
      issued.unshift(newlyIssued(accessToken));
      issued.splice(KEPT_TOKENS);
      return;
    }
    // The next round begins with a new one.
    user.token = '';
    for (const one of issued) one.revokingAt = Math.min(one.revokingAt, performance.now());
    while (newest.revokedAt === Number.POSITIVE_INFINITY && !this.#stopped.signal.aborted) {
      const answer = await api('DELETE', '/users/me/tokens', { token: newest.accessToken });
      // A request without an answer may have ended the token already.
      if (answer.status === 200 || answer.status === 401) {
        const now = performance.now();
        for (const one of issued) one.revokedAt = Math.min(one.revokedAt, now);
        if (answer.status === 200) ledger.revocations += 1;
      } else await delay(250);
    }
  }

  async #use({ user, issued }: Guest): Promise<void> {
    const { ledger, random } = this.#options;
    const used = random.pick(issued);
    const chat = this.#options.chat();
    if (used === undefined || chat === undefined) return;
    const from = performance.now();
    const { what, status } = await this.#request(user, used.accessToken, chat);
    if (status === 200 && used.revokedAt < from)
      ledger.contradict('admitted', `${what} took a token that had ended ${from - used.revokedAt} ms before`);
    if (status === 401 && used.revokingAt === Number.POSITIVE_INFINITY)
      ledger.contradict('wrong', `${what} refused a token that nobody has ended`);
  }

  async #request(
    user: User,
    token: string,
    chat: ChatRecord,
  ): Promise<{ what: string; status: number | 'none' }> {
    const { api, ledger, random } = this.#options;
    const path = `/applications/${chat.token}/chats/${chat.number}`;
    const get = async (of: string) => ({
      what: `GET ${of}`,
      status: (await api('GET', of, { token })).status,
    });
    switch (random.below(6)) {
      case 0:
        return get('/users/me');
      case 1:
        return get(path);
      case 2:
        return get(`${path}/messages`);
      case 3:
        return get(`/applications/${chat.token}/chats`);
      case 4: {
        const body = { messageNumber: 1 };
        return {
          what: `PUT ${path}/read`,
          status: (await api('PUT', `${path}/read`, { token, body })).status,
        };
      }
      default: {
        const tag = ledger.tag('m');
        const now = performance.now();
        chat.sent.set(tag, { tag, firstSentAt: now, lastSentAt: now, sends: 1 });
        const body = `${tag} of a guest`;
        const answer = await api('POST', `${path}/messages`, { token, body: { body }, idempotencyKey: tag });
        const number = answer.status === 200 ? fieldOf(answer.body, 'messageNumber') : undefined;
        if (typeof number === 'number')
          ledger.keepMessage(chat, user.index, number, { tag, body, needles: [] });
        return { what: `POST ${path}/messages`, status: answer.status };
      }
    }
  }
}
