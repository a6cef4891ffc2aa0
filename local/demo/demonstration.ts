import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { runFunction } from '../emulation/run-function.ts';
import { Failure, messageOf, type Report, type Urls } from '../services/index.ts';
import { type Account, signUp } from './accounts.ts';
import { type Api, connectApi } from './api.ts';
import { compareChat, type Difference, differs, isNumberedInOrder, noDifference } from './comparison.ts';
import { readCorpus } from './corpus.ts';
import { type Conversation, createConversation, sendMessages } from './sending.ts';
import { openMysql, openSearchIndex, type Store } from './stores.ts';
import { showEdit, showPages, showSearches } from './tour.ts';

export type Options = {
  file: string;
  /** Address of the API. */
  url: URL;
  /** Number of busiest senders with an account of their own. One more account serves all other senders. */
  users: number;
  /** Number of chats that are sent in parallel. */
  concurrency: number;
  /** URLs of the API's servers. */
  services: Urls;
  environment: NodeJS.ProcessEnv;
  report: Report;
};

/** A store without a new message for this long is considered stalled. */
const STALLED_MS = 90_000;
/** Each sign-up costs the server two scrypt hashes. */
const SIGN_UPS_AT_ONCE = 4;

const count = (value: number) => value.toLocaleString('en');
const seconds = (ms: number) => (ms < 10_000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000).toString());

const bar = (done: number, all: number, sinceMs: number) => {
  const full = Math.floor((24 * done) / all);
  const rate = Math.round(done / Math.max(0.001, (performance.now() - sinceMs) / 1000));
  return `${'█'.repeat(full)}${'░'.repeat(24 - full)} ${count(done)} of ${count(all)}, ${count(rate)}/s`;
};

const during = async <Result>(
  report: Report,
  what: string,
  work: (detail: (text: string) => void) => Promise<{ outcome: string; result: Result }>,
): Promise<Result> => {
  const step = report.step(what);
  try {
    const { outcome, result } = await work(step.detail);
    step.done(outcome);
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
};

const checkApi = async (api: Api, url: URL, services: Urls): Promise<void> => {
  const start = `Start it with npm start, or say where it is: --url http://localhost:3000`;
  const answer = await api.once({ method: 'GET', path: '/health' }).catch((error) => {
    throw new Failure(`No API answers at ${url.href}: ${messageOf(error) || 'connection refused'}. ${start}`);
  });
  if (answer.status === 200) return;
  if (answer.status !== 503)
    throw new Failure(`${url.href} is not this API: GET /health answered ${answer.status}. ${start}`);
  if (services.OPENSEARCH_URL !== undefined)
    throw new Failure(`The API reports a fault: ${answer.text}. Repair that part first.`);
};

const signUpSenders = async (
  api: Api,
  run: string,
  senders: readonly string[],
  report: Report,
  users: number,
) => {
  const named = senders.slice(0, users);
  const others = senders.length - named.length;
  const names = others > 0 ? [...named, 'someone else'] : named;
  return during(report, 'signing up', async (detail) => {
    const accounts: Account[] = [];
    const waiting = names.entries();
    const begunAt = performance.now();
    await Promise.all(
      Array.from({ length: SIGN_UPS_AT_ONCE }, async () => {
        for (const [index, name] of waiting) {
          accounts[index] = await signUp(api, run, index, name);
          detail(bar(Object.keys(accounts).length, names.length, begunAt));
        }
      }),
    );
    const [first] = accounts;
    if (first === undefined) throw new Error('No sender');
    const byName = new Map(named.map((name, index) => [name, accounts[index] ?? first]));
    const rest = accounts.at(-1) ?? first;
    return {
      outcome: `signed up the ${named.length} busiest senders${others > 0 ? `, and one account for the other ${count(others)} (passwords are slow by design: --users N for more)` : ''}`,
      result: { first, accountOf: (sender: string) => byName.get(sender) ?? rest },
    };
  });
};

/** Waits until a store holds the wanted number of messages. @returns the time by performance.now() */
const untilStored = (store: Store, wanted: number, report: Report): Promise<number> =>
  during(report, `waiting for ${store.name}`, async (detail) => {
    const begunAt = performance.now();
    let last = -1;
    let movedAt = begunAt;
    for (;;) {
      const stored = await store.count();
      const nowMs = performance.now();
      if (stored >= wanted) return { outcome: `${store.name} holds all ${count(wanted)}`, result: nowMs };
      if (stored !== last) movedAt = nowMs;
      last = stored;
      if (nowMs - movedAt > STALLED_MS) {
        throw new Failure(
          `${store.name} holds ${count(stored)} of ${count(wanted)} messages, and none was added for ${STALLED_MS / 1000} s. Do the consumers run, and is it the ${store.name} that the API uses?`,
        );
      }
      detail(`${count(stored)} of ${count(wanted)}`);
      await delay(50);
    }
  });

/** Compares a store with all accepted messages. Waits up to 30 s for the last edit to arrive. */
const compare = async (store: Store, { chats }: Conversation): Promise<Difference> => {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const difference = noDifference();
    for (const { chatNumber, accepted } of chats)
      compareChat(
        difference,
        `${store.name}, chat ${chatNumber}`,
        accepted,
        await store.messages(chatNumber),
      );
    if (!differs(difference) || performance.now() > deadline) return difference;
    await delay(1_000);
  }
};

/** Runs syncCounts once, as its schedule does every minute. */
const syncCounts = async ({ environment, services }: Options): Promise<void> => {
  // The configuration requires a secret, but this function issues and reads no token.
  const secret = randomBytes(32).toString('hex');
  await runFunction({
    name: 'scheduled/sync-counts',
    environment: { ...environment, JWT_SECRET: secret, ...services },
  });
};

const percentile = (sorted: Float64Array, part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

/**
 * Replays recorded chat through the API and compares the accepted messages with MySQL and OpenSearch.
 * @returns whether all messages, numbers and counts agree
 * @throws Failure if the replay cannot continue
 */
export const demonstrate = async (options: Options): Promise<boolean> => {
  const { file, url, users, concurrency, services, report } = options;
  const { say } = report;
  const corpus = await readCorpus(file);
  const run = randomBytes(4).toString('hex');
  const api = connectApi(url, concurrency);
  const stores: Store[] = [];
  try {
    await checkApi(api, url, services);
    say(
      `\n  ${file}: ${count(corpus.messagesCount)} messages in ${count(corpus.chats.length)} chats by ${count(corpus.senders.length)} senders, to ${url.origin}`,
    );
    const { first: reader, accountOf } = await signUpSenders(api, run, corpus.senders, report, users);
    const conversation = await during(report, 'creating the chats', async () => {
      const result = await createConversation(reader, run, corpus);
      return { outcome: `created application ${result.token} and its chats`, result };
    });
    const { token, chats } = conversation;
    const mysql = await openMysql(services.MYSQL_URL, token);
    stores.push(mysql);
    if (services.OPENSEARCH_URL)
      stores.push(
        openSearchIndex(services.OPENSEARCH_URL, options.environment.OPENSEARCH_INDEX_PREFIX ?? '', token),
      );
    // A store that cannot be read fails here, before minutes of sending.
    for (const store of stores) await store.count();

    const tookMs = new Float64Array(corpus.messagesCount);
    const begunAt = performance.now();
    await during(report, 'sending', async (detail) => {
      let done = 0;
      await sendMessages(conversation, run, accountOf, concurrency, (ms) => {
        tookMs[done] = ms;
        done += 1;
        detail(bar(done, corpus.messagesCount, begunAt));
      });
      return { outcome: 'every message was accepted', result: undefined };
    });
    const acceptedAt = performance.now();
    const storedAt = await Promise.all(
      stores.map((store) => untilStored(store, corpus.messagesCount, report)),
    );

    const [chat] = chats.toSorted((a, b) => b.accepted.length - a.accepted.length);
    if (chat === undefined) throw new Error('No chat');
    const tour = { reader, token, chat, say };
    await showPages(tour);
    if (services.OPENSEARCH_URL) await showSearches(tour);
    await showEdit(tour, `quokka${run}`, Boolean(services.OPENSEARCH_URL));
    say('');

    await during(report, 'syncing the counts', async () => {
      await syncCounts(options);
      return { outcome: 'synced the counts', result: undefined };
    });
    const counts = await mysql.counts();
    const countsAgree =
      counts.chatsCount === chats.length &&
      counts.messagesCounts.length === chats.length &&
      chats.every(({ accepted }, index) => counts.messagesCounts[index] === accepted.length);
    const numbered = chats.every(({ accepted }) => isNumberedInOrder(accepted));
    const differences = await Promise.all(
      stores.map((store) =>
        during(report, `comparing with ${store.name}`, async () => ({
          outcome: `compared with ${store.name}, every message`,
          result: await compare(store, conversation),
        })),
      ),
    );

    tookMs.sort();
    const sendingMs = acceptedAt - begunAt;
    say('');
    say(
      `  Accepted     ${count(corpus.messagesCount)} messages in ${seconds(sendingMs)} s: ${count(Math.round((corpus.messagesCount / sendingMs) * 1000))}/s, ${Math.min(concurrency, chats.length)} chats at a time; one took ${percentile(tookMs, 0.5).toFixed(0)} ms (p50), ${percentile(tookMs, 0.99).toFixed(0)} ms (p99)${api.retries() > 0 ? `; ${api.retries()} requests were sent again` : ''}`,
    );
    say(
      `  Numbers      ${numbered ? '1…n in the order of the file, in every chat' : 'NOT 1…n in every chat'}`,
    );
    say(
      `  Counts       ${countsAgree ? `${count(chats.length)} chats, ${count(corpus.messagesCount)} messages: as accepted` : `NOT as accepted: ${JSON.stringify(counts)}`}`,
    );
    stores.forEach((store, index) => {
      const { missing, twice, foreign, changed, examples } = differences[index] ?? noDifference();
      say(
        `  ${store.name.padEnd(11)}  all there ${seconds((storedAt[index] ?? 0) - acceptedAt)} s after the last was accepted; missing ${missing}, twice ${twice}, foreign ${foreign}, changed ${changed}`,
      );
      for (const example of examples) say(`    ${example}`);
    });
    if (stores.length === 1) say('  OpenSearch   not available: no search, no comparison');
    const good = numbered && countsAgree && !differences.some(differs);
    say(
      good
        ? '\n  Every message is stored as it was accepted.\n'
        : '\n  NOT every message is stored as it was accepted: see above.\n',
    );
    return good;
  } finally {
    api.close();
    await Promise.allSettled(stores.map((store) => store.close()));
  }
};
