import { randomBytes } from 'node:crypto';
import { Failure, messageOf, type Report, type Urls } from '../services/index.ts';
import { type Account, signUp } from './accounts.ts';
import { type Api, connectApi } from './api.ts';
import { checkStores, untilStored } from './checks.ts';
import { differs } from './comparison.ts';
import { readCorpus } from './corpus.ts';
import { bar, count, during } from './progress.ts';
import { type Conversation, createConversation, sendMessages } from './sending.ts';
import { type MysqlStore, openMysql, openSearchIndex, type Store } from './stores.ts';
import { type Replay, sayChecks, sayRate } from './summary.ts';
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

/** Each sign-up costs the server two scrypt hashes. */
const SIGN_UPS_AT_ONCE = 4;

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
  replayId: string,
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
          accounts[index] = await signUp(api, replayId, index, name);
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

const replay = async (
  conversation: Conversation,
  replayId: string,
  accountOf: (sender: string) => Account,
  messagesCount: number,
  { concurrency, report }: Options,
): Promise<Replay> => {
  const tookMs = new Float64Array(messagesCount);
  const begunAt = performance.now();
  await during(report, 'sending', async (detail) => {
    let done = 0;
    await sendMessages(conversation, replayId, accountOf, concurrency, (ms) => {
      tookMs[done] = ms;
      done += 1;
      detail(bar(done, messagesCount, begunAt));
    });
    return { outcome: 'every message was accepted', result: undefined };
  });
  const acceptedAt = performance.now();
  return { tookMs: tookMs.sort(), begunAt, acceptedAt };
};

/** Shows the API's reads, an edit and the search on the longest chat. */
const showTour = async (
  { token, chats }: Conversation,
  reader: Account,
  replayId: string,
  { services, report: { say } }: Options,
): Promise<void> => {
  const [chat] = chats.toSorted((a, b) => b.accepted.length - a.accepted.length);
  if (chat === undefined) throw new Error('No chat');
  const tour = { reader, token, chat, say };
  await showPages(tour);
  if (services.OPENSEARCH_URL) await showSearches(tour);
  await showEdit(tour, `quokka${replayId}`, Boolean(services.OPENSEARCH_URL));
  say('');
};

/** Opens the stores of an application. The caller closes them, also if one of them cannot be read. */
const openStores = async (
  stores: Store[],
  token: string,
  { services, environment }: Options,
): Promise<MysqlStore> => {
  const mysql = await openMysql(services.MYSQL_URL, token);
  stores.push(mysql);
  if (services.OPENSEARCH_URL)
    stores.push(openSearchIndex(services.OPENSEARCH_URL, environment.OPENSEARCH_INDEX_PREFIX ?? '', token));
  for (const store of stores) await store.count();
  return mysql;
};

/**
 * Replays recorded chat through the API and compares the accepted messages with MySQL and OpenSearch.
 * @returns whether all messages, numbers and counts agree
 * @throws Failure if the replay cannot continue
 */
export const demonstrate = async (options: Options): Promise<boolean> => {
  const { file, url, users, services, report } = options;
  const { say } = report;
  const corpus = await readCorpus(file);
  const { messagesCount } = corpus;
  const replayId = randomBytes(4).toString('hex');
  const api = connectApi(url, options.concurrency);
  const stores: Store[] = [];
  try {
    await checkApi(api, url, services);
    say(
      `\n  ${file}: ${count(messagesCount)} messages in ${count(corpus.chats.length)} chats by ${count(corpus.senders.length)} senders, to ${url.origin}`,
    );
    const { first: reader, accountOf } = await signUpSenders(api, replayId, corpus.senders, report, users);
    const conversation = await during(report, 'creating the chats', async () => {
      const result = await createConversation(reader, replayId, corpus);
      return { outcome: `created application ${result.token} and its chats`, result };
    });
    // A store that cannot be read fails here, before minutes of sending.
    const mysql = await openStores(stores, conversation.token, options);
    const sent = await replay(conversation, replayId, accountOf, messagesCount, options);
    const storedAt = await Promise.all(stores.map((store) => untilStored(store, messagesCount, report)));
    await showTour(conversation, reader, replayId, options);
    const check = await checkStores(conversation, mysql, stores, options, report);

    const chats = conversation.chats.length;
    say('');
    sayRate(sent, Math.min(options.concurrency, chats), api.retries(), report);
    sayChecks(
      check,
      stores.map(({ name }, index) => ({ name, allThereMs: (storedAt[index] ?? 0) - sent.acceptedAt })),
      { chats, messages: messagesCount },
      report,
    );
    const isGood = check.numbered && check.countsAgree && !check.differences.some(differs);
    say(
      isGood
        ? '\n  Every message is stored as it was accepted.\n'
        : '\n  NOT every message is stored as it was accepted: see above.\n',
    );
    return isGood;
  } finally {
    api.close();
    await Promise.allSettled(stores.map((store) => store.close()));
  }
};
