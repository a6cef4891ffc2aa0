import { describe, expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { maxPageBytes } from '#lib/domain/page.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import { createCursors } from '#lib/reading/cursors.ts';
import { searchMessages } from '../../../../../functions/http/messages/search-messages.ts';

type MessageSearch = Parameters<MessageIndex['search']>[0];

const nowMs = Date.parse('2026-01-01T00:00:10.000Z');
const hit = {
  messageNumber: 1,
  body: 'hello',
  createdAt: '2026-01-01T00:00:00.000Z',
  position: { score: 7, createdAtMs: Date.parse('2026-01-01T00:00:00.000Z'), messageNumber: 1 },
};
const cursors = createCursors([Buffer.alloc(32, 's')]);
const search = { token: 'application', chatNumber: 1, text: 'hello' };
const request = (
  input: { page?: number | undefined; upTo?: number; after?: string; limit?: number } = {},
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
  messageIndex: {
    search: async (wanted: MessageSearch) => {
      asked.push(wanted);
      return { hits: [hit], hasMore: true };
    },
  },
  chatDirectory: { messagesCount: async () => 7 },
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
    const messageIndex = {
      search: async (wanted: MessageSearch) => {
        asked.push(wanted);
        const rest = hits.filter(({ messageNumber }) => messageNumber < (wanted.after?.messageNumber ?? 71));
        return { hits: rest.slice(0, wanted.limit), hasMore: rest.length > wanted.limit };
      },
    };
    const read: number[] = [];
    let after: string | undefined;
    do {
      const input = after === undefined ? { limit: 100 } : { limit: 100, page: undefined, after };
      const { items, next } = await searchMessages(request(input), { ...uses(undefined), messageIndex });
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
    expect(next).toEqual({ after: cursors.writeHit({ ...hit.position, upTo: 7 }, search) });
  });

  it('refuses a cursor of another search or of a list, and names it', async () => {
    const place = { ...hit.position, upTo: 7 };
    const foreign = [
      cursors.writeHit(place, { ...search, text: 'hello!' }),
      cursors.writeHit(place, { ...search, chatNumber: 2 }),
      cursors.write(hit.position, search),
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
