import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { MessageSearch, SearchPosition } from '#lib/opensearch/search/message-search.ts';
import { createRandom } from '../chaos/random.ts';
import { createIndexContents } from '../support/index-contents.ts';

/* What filters find is compared with what a plain loop over all messages finds, in the same order, over all pages. */

const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const prefix = `${inject('names').indexPrefix}filters-`;
const index = { ...createMessageIndex({ client, prefix }), ...createIndexContents(client, prefix) };

const TOKENS = ['app', 'other'];
const SENDERS = ['adaadaadaadaada1', 'bobbobbobbobbob2', 'evaevaevaevaeva3', 'ianianianianian4'];
/** None of them is nearly another one, or the beginning of one. */
const WORDS = ['alpha', 'bravo', 'hotel', 'zebra'];
const CHATS = 5;
const COUNT = 3_000;
const START_MS = Date.UTC(2026, 0, 1);
/** Few enough that many messages share a time. */
const MOMENTS = 400;

type Made = Omit<IndexableMessage, 'sender'> & { sender: string; createdAtMs: number; deleted?: true };

const { next: random, below, pick: pickFrom } = createRandom(20_261_130);
const pick = <Item>(items: readonly Item[]): Item => {
  const item = pickFrom(items);
  if (item === undefined) throw new Error('There is nothing to pick');
  return item;
};
const momentMs = () => START_MS + below(MOMENTS) * 1_000;

const messages: Made[] = Array.from({ length: COUNT }, (_, at) => {
  const createdAtMs = momentMs();
  const isDeleted = random() < 0.05;
  return {
    token: pick(TOKENS),
    chatNumber: 1 + (at % CHATS),
    messageNumber: 1 + Math.floor(at / CHATS),
    sender: pick(SENDERS),
    senderName: 'Name',
    body: isDeleted ? '' : `${pick(WORDS)} ${pick(WORDS)}`,
    createdAt: new Date(createdAtMs).toISOString(),
    createdAtMs,
    ...(isDeleted ? { deleted: true } : {}),
    version: at + 1,
  };
});

const maybe = <Value>(share: number, make: () => Value): Value | undefined =>
  random() < share ? make() : undefined;

/** A query of any of the filters, by words, by a sender, or by both. */
const madeQuery = (): Omit<MessageSearch, 'limit'> => {
  const text = maybe(0.6, () => pick(WORDS));
  const sender = text === undefined || random() < 0.5 ? pick([...SENDERS, 'nobodynobodynobo']) : undefined;
  const order = text === undefined ? 'newest' : pick(['best', 'newest'] as const);
  return {
    token: pick(TOKENS),
    chatNumber: maybe(0.7, () => 1 + below(CHATS)),
    text,
    sender,
    fromMs: maybe(0.5, momentMs),
    toMs: maybe(0.5, momentMs),
    order,
    upTo: undefined,
  };
};

const expectedOf = ({ token, chatNumber, text, sender, fromMs, toMs }: Omit<MessageSearch, 'limit'>) =>
  messages
    .filter(
      (message) =>
        !message.deleted &&
        message.token === token &&
        (chatNumber === undefined || message.chatNumber === chatNumber) &&
        (text === undefined || message.body.includes(text)) &&
        (sender === undefined || message.sender === sender) &&
        (fromMs === undefined || message.createdAtMs >= fromMs) &&
        (toMs === undefined || message.createdAtMs < toMs),
    )
    // One word matches every message alike, so the best match is the newest, too.
    .sort(
      (a, b) =>
        b.createdAtMs - a.createdAtMs || b.chatNumber - a.chatNumber || b.messageNumber - a.messageNumber,
    )
    .map(({ chatNumber, messageNumber }) => `${chatNumber}:${messageNumber}`);

/** All pages of a search, by its cursor. */
const foundBy = async (query: Omit<MessageSearch, 'limit'>): Promise<string[]> => {
  const found: string[] = [];
  let after: SearchPosition | undefined;
  for (let more = true; more; ) {
    const { hits, hasMore } = await index.search({ ...query, after, limit: 100 });
    found.push(...hits.map(({ chatNumber, messageNumber }) => `${chatNumber}:${messageNumber}`));
    after = hits.at(-1)?.position;
    more = hasMore;
  }
  return found;
};

beforeAll(async () => {
  await index.prepare();
  expect(await index.write(messages)).toEqual({ refused: [] });
  await index.refresh();
}, 60_000);
afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

describe('filters', () => {
  test('find exactly what they say, for 200 made queries', { timeout: 120_000 }, async () => {
    const queries = Array.from({ length: 200 }, madeQuery);
    let found = 0;
    for (const query of queries) {
      const expected = expectedOf(query);
      expect(await foundBy(query), JSON.stringify(query)).toEqual(expected);
      found += expected.length;
    }
    // The queries are no empty promise.
    expect(found).toBeGreaterThan(5_000);
  });

  test('begin with a time and end before one', async () => {
    const [some] = messages.filter(({ token, deleted }) => token === 'app' && !deleted);
    if (some === undefined) throw new Error('No message was made');
    const { token, chatNumber, sender, createdAtMs, messageNumber } = some;
    const isFound = async (fromMs: number, toMs: number) => {
      const { hits } = await index.search({ token, chatNumber, sender, fromMs, toMs, limit: 100 });
      return hits.some((hit) => hit.messageNumber === messageNumber);
    };
    expect(await isFound(createdAtMs, createdAtMs + 1)).toBe(true);
    expect(await isFound(createdAtMs - 1, createdAtMs)).toBe(false);
    expect(await isFound(createdAtMs + 1, createdAtMs + 2)).toBe(false);
  });

  test('take every instant that a client may write', async () => {
    const ever = { token: 'app', sender: SENDERS[0], limit: 100 };
    const instants = ['0000-01-01T00:00:00Z', '1969-12-31T23:59:59Z', '9999-12-31T23:59:59-23:59'];
    const [first = 0, before1970 = 0, last = 0] = instants.map((instant) => Date.parse(instant));
    expect((await index.search({ ...ever, fromMs: first, toMs: last })).hits).toHaveLength(100);
    expect((await index.search({ ...ever, fromMs: before1970 })).hits).toHaveLength(100);
    expect((await index.search({ ...ever, toMs: before1970 })).hits).toEqual([]);
    expect((await index.search({ ...ever, fromMs: last, toMs: first })).hits).toEqual([]);
  });

  test('of a sender take a handle as a whole, whatever is in it', async () => {
    for (const sender of ['adaadaadaadaada', 'ADAADAADAADAADA1', 'ada*', '*', '\0', ' ', 'x'.repeat(100)])
      expect((await index.search({ token: 'app', sender, limit: 10 })).hits).toEqual([]);
  });
});
