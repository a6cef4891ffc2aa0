import { setTimeout as delay } from 'node:timers/promises';
import { audit, drainDeadLetters, type Findings, findUnrest, isClean, noFindings } from './audit.ts';
import { type Api, createApi } from './client.ts';
import { dumpStores, findRemains, putErasuresBack } from './dumps.ts';
import { type Copy, type Fault, publish, readOutboxes } from './faults.ts';
import { type Forged, forge, mustBeDead } from './forgery.ts';
import type { Landing } from './landing.ts';
import { type ChatRecord, type Creation, Ledger } from './ledger.ts';
import type { Pace } from './pace.ts';
import { createRandom, type Random } from './random.ts';
import { Removals } from './removals.ts';
import { Revocation } from './revocation.ts';
import type { System } from './system.ts';
import { Visits } from './visits.ts';
import { signIn, signUp, type User, Workload } from './workload.ts';

export type RoundResult = {
  fault: string;
  /** Writes that were answered 200. */
  accepted: number;
  refused: number;
  unanswered: number;
  /** Deletions and revocations that were answered 200. */
  deleted: number;
  /** Deletions of chats and applications, and erasures of accounts. */
  chats: number;
  applications: number;
  accounts: number;
  revoked: number;
  /** Creations that ran twice because Redis had lost their idempotency keys. */
  repeated: number;
  /** From the end of the fault until an audit found nothing; undefined if none succeeded in time. */
  secondsUntilWhole: number | undefined;
  findings: Findings;
  /** Where kills of the functions fell. */
  landings: Landing[];
};

const WRITERS = 6;
const GUESTS = 5;
/** No round has more visitors. */
const VISITORS = 1_000;
const HOUR_MS = 60 * 60_000;
const SIGN_IN_EVERY_MS = 20 * 60_000;

const firstChatOf = (ledger: Ledger): ChatRecord | undefined =>
  [...([...ledger.applications.values()][0]?.chats.values() ?? [])][0];

/** One system that is attacked in rounds. The ledger keeps the answers of all rounds. */
export class Arena {
  readonly #system: System;
  readonly #api: Api;
  readonly #ledger = new Ledger();
  readonly #random: Random;
  readonly #users: User[] = [];
  /** Users who sign out everywhere again and again. */
  readonly #guests: User[] = [];
  readonly #say: (line: string) => void;
  #signedInAt = 0;
  #rounds = 0;
  #standing: ChatRecord[] = [];
  /** When Redis lost its keys. */
  readonly #losses: { beganAt: number; endedAt: number }[] = [];

  constructor(system: System, { seed, say }: { seed: number; say: (line: string) => void }) {
    this.#system = system;
    this.#api = createApi(system.apiUrl);
    this.#random = createRandom(seed);
    this.#say = say;
  }

  async run(fault: Fault, pace: Pace): Promise<RoundResult> {
    this.#rounds += 1;
    const round = this.#rounds;
    await this.#signIn();
    const ledger = this.#ledger;
    const before = { ...ledger };
    let mayLag = false;
    const workload = new Workload({
      api: this.#api,
      ledger,
      users: this.#users,
      random: this.#random,
      round,
      standing: this.#standing,
      mayLag: () => mayLag,
    });
    const revocation = new Revocation(this.#guests, {
      api: this.#api,
      ledger,
      random: this.#random,
      chat: () => this.#standing[0] ?? firstChatOf(ledger),
    });
    const removals = new Removals({
      api: this.#api,
      ledger,
      users: this.#users,
      random: this.#random,
      standing: this.#standing,
      mayLag: () => mayLag,
    });
    const visits = new Visits({
      api: this.#api,
      ledger,
      random: this.#random,
      firstIndex: WRITERS + GUESTS + 1 + round * VISITORS,
    });
    const clients = [workload, revocation, removals, visits];
    const findings = noFindings();
    const landings: Landing[] = [];
    let poison = 0;
    const forged = new Set<string>();
    let healedAt: number;
    for (const client of clients) client.start();
    try {
      await delay(pace.beforeMs);
      // Every fault meets forged messages. Those that a fault loses with the broker become no dead letters.
      await this.#forge();
      await fault.inject({
        system: this.#system,
        pace,
        random: this.#random,
        sleep: (ms) => delay(ms),
        redisGoes: () => {
          mayLag = true;
          if (fault.losesKeys)
            this.#losses.push({ beganAt: performance.now(), endedAt: Number.POSITIVE_INFINITY });
        },
        takesWrites: () => this.#takesWrites(),
        pending: () => this.#pending(),
        expectDead: (count) => {
          poison += count;
        },
        forge: async () => {
          for (const one of await this.#forge()) if (mustBeDead(one)) forged.add(one.mark);
        },
        found: (kind, what) => findings[kind].push(what),
        fell: (where) => landings.push(where),
      });
      healedAt = performance.now();
      await delay(pace.afterMs);
    } finally {
      await Promise.all(clients.map((client) => client.stop()));
    }
    const endedAt = performance.now();
    for (const loss of this.#losses) loss.endedAt = Math.min(loss.endedAt, endedAt);

    const { settled, repeated } = await this.#settle(round, { poison, forged, pace });
    const secondsUntilWhole = isClean(settled) ? (performance.now() - healedAt) / 1000 : undefined;
    for (const { kind, what } of ledger.contradictions.splice(0)) findings[kind].push(what);
    for (const kind of Object.keys(findings) as (keyof Findings)[]) findings[kind].push(...settled[kind]);
    if (this.#standing.length === 0) {
      const first = firstChatOf(ledger);
      if (first !== undefined) this.#standing = [first];
    }
    return {
      fault: fault.name,
      accepted: ledger.accepted - before.accepted,
      refused: ledger.refused - before.refused,
      unanswered: ledger.unanswered - before.unanswered,
      deleted: ledger.deletions - before.deletions,
      chats: ledger.deletedChats - before.deletedChats,
      applications: ledger.deletedApplications - before.deletedApplications,
      accounts: ledger.erasedAccounts - before.erasedAccounts,
      revoked: ledger.revocations - before.revocations,
      repeated,
      secondsUntilWhole,
      findings,
      landings,
    };
  }

  /** Audits the writes of all rounds while the system is at rest. */
  async audit(): Promise<Findings> {
    const { findings } = await audit({
      stores: await this.#system.stores(),
      api: this.#api,
      accessToken: this.#users[0]?.token ?? '',
      ledger: this.#ledger,
      applications: [...this.#ledger.applications.values()],
      mayRepeat: (creation) => this.#mayRepeat(creation),
    });
    return findings;
  }

  /** Redis may have forgotten the key of a request that spans a loss. Later rounds still find the repeated creation. */
  #mayRepeat({ firstSentAt, lastSentAt }: Creation): boolean {
    return this.#losses.some(({ beganAt, endedAt }) => lastSentAt >= beganAt && firstSentAt <= endedAt);
  }

  /** Waits until the system is at rest and an audit finds nothing. After the time limit, returns the last findings. */
  async #settle(
    round: number,
    { poison, forged, pace }: { poison: number; forged: ReadonlySet<string>; pace: Pace },
  ): Promise<{ settled: Findings; repeated: number }> {
    const stores = await this.#system.stores();
    const deadline = performance.now() + pace.wholeWithinMs;
    const standing = new Set(this.#standing.map(({ token }) => token));
    const applications = [...this.#ledger.applications.values()].filter(
      (application) => application.round === round || standing.has(application.token),
    );
    let wrote = false;
    const dead = { poison: new Set<string>(), forged: new Set<string>(), others: [] as string[] };
    for (let saidAt = performance.now(); ; await delay(250)) {
      const unrest: string[] = [];
      try {
        wrote ||= await this.#takesWrites();
        if (!wrote) unrest.push('writes are not taken');
        unrest.push(...(await findUnrest(stores)));
        const drained = await drainDeadLetters(stores.RABBITMQ_URL);
        for (const messageId of drained.poison) dead.poison.add(messageId);
        for (const mark of drained.forged) dead.forged.add(mark);
        dead.others.push(...drained.others);
        if (dead.poison.size < poison)
          unrest.push(`${dead.poison.size} of ${poison} poisoned commands are dead letters`);
        const alive = [...forged].filter((mark) => !dead.forged.has(mark)).length;
        if (alive > 0) unrest.push(`${alive} of ${forged.size} forged messages are no dead letters`);
        if (unrest.length === 0) {
          // Waiting does not change its findings.
          const { findings: settled, repeated } = await audit({
            stores,
            api: this.#api,
            accessToken: this.#users[0]?.token ?? '',
            ledger: this.#ledger,
            applications,
            mayRepeat: (creation) => this.#mayRepeat(creation),
          });
          settled.shown.push(...(await this.#findErased()));
          settled.stuck.push(...dead.others.map((letter) => `dead letter: ${letter}`));
          return { settled, repeated };
        }
      } catch (error) {
        unrest.push(String(error));
      }
      if (performance.now() > deadline) {
        for (const [name, last] of this.#system.schedule.last) unrest.push(`${name}: ${last}`);
        return { settled: { ...noFindings(), stuck: unrest }, repeated: 0 };
      }
      if (performance.now() - saidAt > 5_000) {
        saidAt = performance.now();
        this.#say(`    settling: ${unrest.join('; ').slice(0, 300)}`);
      }
    }
  }

  /** Erases deleted items, with the clocks an hour ahead. @returns the needles that a store or the log still holds */
  async #findErased(): Promise<string[]> {
    const stores = await this.#system.stores();
    await putErasuresBack(stores.MYSQL_URL);
    await this.#system.operate('scheduled/erase-deleted', {}, { aheadMs: HOUR_MS });
    // The index hears of blank messages by its queue.
    for (let tries = 0; tries < 120 && (await findUnrest(stores)).length > 0; tries += 1) await delay(250);
    this.#ledger.erasuresEnded();
    const found = new Set(await findRemains(stores.MYSQL_URL));
    await dumpStores(stores, this.#system.logFile, (place, text) => {
      for (const needle of this.#ledger.needles.shownIn(text)) found.add(`${place} holds ${needle}`);
    });
    return [...found];
  }

  /** Publishes forged messages of each kind. */
  async #forge(): Promise<Forged[]> {
    const [application] = [...this.#ledger.applications.values()];
    if (application === undefined) return [];
    const messages = forge(application.token, await this.#pending());
    await publish(this.#system, messages);
    return messages;
  }

  /** Consumers drop every command for a deleted chat, a forged one as well. */
  async #pending(): Promise<Copy[]> {
    const chat = this.#standing[0] ?? firstChatOf(this.#ledger);
    return (await readOutboxes(this.#system)).filter(({ queue, content }) => {
      if (queue !== 'create-message') return false;
      const { token, chatNumber } = JSON.parse(content);
      return token === chat?.token && chatNumber === chat?.number;
    });
  }

  async #takesWrites(): Promise<boolean> {
    const [user] = this.#users;
    const application = [...this.#ledger.applications.values()].find(
      ({ owner, deletion }) => owner === user?.index && deletion === undefined,
    );
    if (user === undefined || application === undefined) return true;
    const name = `${this.#ledger.tag('n')} after the round`;
    const write = application.name.begin(name, performance.now());
    const answer = await this.#api('PUT', `/applications/${application.token}`, {
      token: user.token,
      body: { name },
    });
    if (answer.status === 200) write.acknowledged(performance.now());
    return answer.status === 200;
  }

  async #signIn(): Promise<void> {
    if (this.#users.length === 0) {
      // One after the other: a process hashes only so many passwords at once, and refuses more.
      for (let index = 1; index <= WRITERS; index += 1) this.#users.push(await signUp(this.#api, index));
      for (let index = 1; index <= GUESTS; index += 1)
        this.#guests.push(await signUp(this.#api, WRITERS + index));
      this.#signedInAt = performance.now();
    }
    const isLong = performance.now() - this.#signedInAt >= SIGN_IN_EVERY_MS;
    for (const guest of this.#guests)
      if (guest.token === '' || isLong) guest.token = await signIn(this.#api, guest.email);
    if (!isLong) return;
    for (const user of this.#users) user.token = await signIn(this.#api, user.email);
    this.#signedInAt = performance.now();
  }
}
