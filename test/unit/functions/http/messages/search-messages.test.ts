import { describe, expect, it } from 'vitest';
import { notFound, unavailable } from '#lib/domain/errors.ts';
import { maxPageBytes } from '#lib/domain/page.ts';
import type { MessageSearch } from '#lib/opensearch/search/message-search.ts';
import { createCursors } from '#lib/reading/cursors.ts';
import { searchMessages } from '../../../../../functions/http/messages/search-messages.ts';

const nowMs = Date.parse('2026-01-01T00:00:10.000Z');
const hit = {
  chatNumber: 1,
  messageNumber: 1,
  sender: 'adaadaadaadaada7',
  senderName: 'Ada',
  body: 'hello',
  createdAt: '2026-01-01T00:00:00.000Z',
  position: {
    score: 7,
    createdAtMs: Date.parse('2026-01-01T00:00:00.000Z'),
    chatNumber: 1,
    messageNumber: 1,
  },
};
const cursors = createCursors([Buffer.alloc(32, 's')]);
const wanted = { token: 'application', chatNumber: 1, text: 'hello', order: 'best' as const };
const request = (
  input: {
    chatNumber?: number | undefined;
    q?: string | undefined;
    sender?: string;
    from?: number;
    to?: number;
    sort?: 'best' | 'newest';
    page?: number | undefined;
    upTo?: number;
    after?: string;
    limit?: number;
  } = {},
) => ({
  input: {
    token: 'application',
    chatNumber: 1,
    q: 'hello',
    page: 1,
    limit: 1,
    highlight: false,
    upTo: undefined,
    after: undefined,
    ...input,
  },
  caller: { id: 1, name: 'Ada', generation: 0 },
  credentials: { user: '', password: '' },
  idempotency: undefined,
  clientAddress: '127.0.0.1',
});

/** A chat of seven messages, whose oldest pending write was accepted this number of seconds ago. */
const uses = (secondsBehind: number | undefined, asked: MessageSearch[] = []) => ({
  search: {
    find: async (wanted: MessageSearch) => {
      asked.push(wanted);
      return { hits: [hit], last: hit.position, hasMore: true };
    },
  },
  chatDirectory: { messagesCount: async () => 7 },
  applicationDirectory: {
    get: async (token: string) => {
      if (token !== 'application') throw notFound('application');
      return { token, name: 'Application', chatsCount: 1, version: 1 };
    },
  },
  outbox: {
    oldest: async () => (secondsBehind === undefined ? undefined : (nowMs - secondsBehind * 1000) * 1000),
  },
  cursors,
  now: () => nowMs,
});

describe('Search-Lag', () => {
  it('shows the lag of the index in seconds', async () => {
    expect((await searchMessages(request(), uses(8))).headers).toEqual({ 'Search-Lag': '8' });
  });

  it.each([undefined, 0.5, 1.4])('is absent while all is found as usual (%s s)', async (seconds) => {
    expect((await searchMessages(request(), uses(seconds))).headers).toEqual({});
  });

  it('is absent if the lag is unknown; search continues', async () => {
    const outbox = { oldest: () => Promise.reject(unavailable('The numbering service does not answer.')) };
    const { items, headers } = await searchMessages(request(), { ...uses(8), outbox });
    const { position: _position, ...item } = hit;
    expect({ items, headers }).toEqual({ items: [item], headers: {} });
  });
});

describe('the next page', () => {
  it('leaves out messages that arrived after the first page', async () => {
    const asked: MessageSearch[] = [];
    const first = await searchMessages(request(), uses(undefined, asked));
    expect(first.next).toEqual({ page: 2, upTo: 7 });
    await searchMessages(request({ page: 2, upTo: 3 }), uses(undefined, asked));
    expect(asked.map(({ upTo }) => upTo)).toEqual([7, 3]);
  });

  it('leads by cursor where a page was cut at 4 MB, within the same bound', async () => {
    const hits = Array.from({ length: 70 }, (_, at) => ({
      ...hit,
      messageNumber: 70 - at,
      body: '\u0001'.repeat(16_000),
      position: { ...hit.position, messageNumber: 70 - at },
    }));
    const asked: MessageSearch[] = [];
    const search = {
      find: async (wanted: MessageSearch) => {
        asked.push(wanted);
        const rest = hits.filter(({ messageNumber }) => messageNumber < (wanted.after?.messageNumber ?? 71));
        const page = rest.slice(0, wanted.limit);
        return { hits: page, last: page.at(-1)?.position, hasMore: rest.length > wanted.limit };
      },
    };
    const read: number[] = [];
    let after: string | undefined;
    do {
      const input = after === undefined ? { limit: 100 } : { limit: 100, page: undefined, after };
      const { items, next } = await searchMessages(request(input), { ...uses(undefined), search });
      expect(Buffer.byteLength(JSON.stringify(items))).toBeLessThanOrEqual(maxPageBytes);
      read.push(...items.map(({ messageNumber }) => messageNumber));
      after = next !== undefined && 'after' in next ? next.after : undefined;
      expect(next === undefined).toBe(after === undefined);
    } while (after !== undefined);
    expect(read).toEqual(Array.from({ length: 70 }, (_, at) => 70 - at));
    expect(asked.map(({ upTo }) => upTo)).toEqual([7, 7]);
  });

  it('leads by cursor where page numbers end', async () => {
    const { next } = await searchMessages(request({ page: 10_000 }), uses(undefined));
    expect(next).toEqual({ after: cursors.writeHit({ ...hit.position, upTo: 7 }, wanted) });
  });

  it('refuses a cursor of another search or of a list, and names it', async () => {
    const place = { ...hit.position, upTo: 7 };
    const foreign = [
      cursors.writeHit(place, { ...wanted, text: 'hello!' }),
      cursors.writeHit(place, { ...wanted, chatNumber: 2 }),
      cursors.writeHit(place, { ...wanted, chatNumber: undefined }),
      cursors.writeHit(place, { ...wanted, sender: 'ada' }),
      cursors.writeHit(place, { ...wanted, fromMs: 1 }),
      cursors.writeHit(place, { ...wanted, order: 'newest' as const }),
      cursors.write(hit.position, wanted),
      'nonsense',
    ];
    for (const after of foreign) {
      await expect(
        searchMessages(request({ page: undefined, after }), uses(undefined)),
      ).rejects.toMatchObject({
        code: 'bad-input',
        fields: [{ path: 'after' }],
      });
    }
  });
});

describe('a search', () => {
  const askedFor = async (input: Parameters<typeof request>[0]) => {
    const asked: MessageSearch[] = [];
    const answer = await searchMessages(request({ page: undefined, ...input }), uses(undefined, asked));
    return { asked: asked[0], next: answer.next };
  };

  it('is by time without words, and by match with them unless it is asked otherwise', async () => {
    const orders = [
      { q: undefined, sender: 'ada' },
      {},
      { sort: 'newest' as const },
      { sort: 'best' as const },
    ];
    const asked = await Promise.all(orders.map(askedFor));
    expect(asked.map(({ asked }) => asked?.order)).toEqual(['newest', 'best', 'newest', 'best']);
  });

  it('takes all filters', async () => {
    const { asked } = await askedFor({ sender: 'ada', from: 5, to: 9 });
    expect(asked).toMatchObject({ text: 'hello', sender: 'ada', fromMs: 5, toMs: 9 });
  });

  it('of an application has no highest number, and links by cursor from the first page on', async () => {
    const { asked, next } = await askedFor({ chatNumber: undefined });
    expect(asked).toMatchObject({ chatNumber: undefined, upTo: undefined, page: 1 });
    const terms = { ...wanted, chatNumber: undefined };
    expect(next).toEqual({ after: cursors.writeHit(hit.position, terms) });
    const { after = '' } = next !== undefined && 'after' in next ? next : {};
    expect((await askedFor({ chatNumber: undefined, after })).asked?.after).toEqual({
      ...hit.position,
      upTo: undefined,
    });
  });

  it('of an application that is missing is refused', async () => {
    const { input, ...rest } = request({ chatNumber: undefined });
    await expect(
      searchMessages({ input: { ...input, token: 'other' }, ...rest }, uses(undefined)),
    ).rejects.toMatchObject({ code: 'not-found' });
  });
});
