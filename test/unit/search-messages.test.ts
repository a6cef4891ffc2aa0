import { describe, expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import { searchMessages } from '../../functions/http/messages/search-messages.ts';

type MessageSearch = Parameters<MessageIndex['search']>[0];

const nowMs = Date.parse('2026-01-01T00:00:10.000Z');
const hit = {
  messageNumber: 1,
  body: 'hello',
  createdAt: '2026-01-01T00:00:00.000Z',
  position: { score: 7, createdAtMs: Date.parse('2026-01-01T00:00:00.000Z'), messageNumber: 1 },
};
const request = (input: { page?: number; upTo?: number } = {}) => ({
  input: {
    token: 'application',
    chatNumber: 1,
    q: 'hello',
    page: 1,
    limit: 1,
    highlight: false,
    upTo: undefined,
    ...input,
  },
  caller: { id: 1, name: 'Ada' },
  credentials: { user: '', password: '' },
  idempotency: undefined,
  clientAddress: '127.0.0.1',
});

/** A chat of seven messages, whose oldest write on the way was accepted so many seconds ago. */
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
  now: () => nowMs,
});

describe('Search-Lag', () => {
  it('says by how many seconds the index is behind', async () => {
    expect((await searchMessages(request(), uses(8))).headers).toEqual({ 'Search-Lag': '8' });
  });

  it.each([undefined, 0.5, 1.4])('is absent while all is found as usual (%s s)', async (seconds) => {
    expect((await searchMessages(request(), uses(seconds))).headers).toEqual({});
  });

  it('is absent where it cannot be told; search goes on', async () => {
    const outbox = { oldest: () => Promise.reject(unavailable('The numbering service does not answer.')) };
    const { items, headers } = await searchMessages(request(), { ...uses(8), outbox });
    expect({ items, headers }).toEqual({ items: [hit], headers: {} });
  });
});

describe('the next page', () => {
  it('leaves out what arrived since the first was asked for', async () => {
    const asked: MessageSearch[] = [];
    const first = await searchMessages(request(), uses(undefined, asked));
    expect(first.next).toEqual({ page: 2, upTo: 7 });
    await searchMessages(request({ page: 2, upTo: 3 }), uses(undefined, asked));
    expect(asked.map(({ upTo }) => upTo)).toEqual([7, 3]);
  });
});
