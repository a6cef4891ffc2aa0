import { expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import type { Message } from '#lib/domain/message.ts';
import type { MessageReference } from '#lib/domain/reference.ts';
import type { MessageHit } from '#lib/opensearch/search/message-search.ts';
import { createSearch } from '#lib/reading/search.ts';

const hit = (messageNumber: number, more: Partial<MessageHit> = {}): MessageHit => ({
  chatNumber: 1,
  messageNumber,
  sender: undefined,
  senderName: undefined,
  body: 'hello',
  createdAt: '1970-01-01T00:00:00.000Z',
  position: { score: 1, createdAtMs: 0, chatNumber: 1, messageNumber },
  ...more,
});
const row = (messageNumber: number, sender: string | null): Message => ({
  token: 'token',
  chatNumber: 1,
  messageNumber,
  senderId: 7,
  sender,
  senderName: 'Ada',
  body: 'hello',
  createdAtMs: 0,
  version: 1,
});

const find = async (hits: MessageHit[], rows: Message[] | Error, deleted: number[] = []) => {
  const queries: (readonly MessageReference[])[] = [];
  const search = createSearch({
    messageIndex: { search: async () => ({ hits, hasMore: true }) },
    messages: {
      find: async (refs) => {
        queries.push(refs);
        if (rows instanceof Error) throw rows;
        return rows;
      },
    },
    withoutDeleted: async (_token, found) =>
      found.filter(({ messageNumber }) => !deleted.includes(messageNumber)),
  });
  const found = await search.find({ token: 'token', chatNumber: 1, text: 'hello', limit: 10 });
  return { found, asked: queries.map((refs) => refs.map(({ messageNumber }) => messageNumber)) };
};

it('answers from the index alone where it knows the senders', async () => {
  const hits = [hit(2, { sender: 'ada', senderName: 'Ada' }), hit(1, { sender: 'bob', senderName: 'Bob' })];
  expect(await find(hits, [])).toEqual({
    found: { hits, last: hits[1]?.position, hasMore: true },
    asked: [],
  });
});

it('leaves out deleted messages, and goes on from the last place of the index nevertheless', async () => {
  const hits = [hit(2, { sender: 'ada', senderName: 'Ada' }), hit(1)];
  const { found, asked } = await find(hits, [], [1]);
  expect(found).toEqual({ hits: hits.slice(0, 1), last: hits[1]?.position, hasMore: true });
  expect(asked).toEqual([]);
});

it('asks MySQL once for the senders of documents from before', async () => {
  const hits = [hit(3), hit(2, { sender: 'bob', senderName: 'Bob' }), hit(1)];
  const { found, asked } = await find(hits, [row(3, 'ada'), row(1, null)]);
  expect(
    found.hits.map(({ messageNumber, sender, senderName }) => [messageNumber, sender, senderName]),
  ).toEqual([
    [3, 'ada', 'Ada'],
    [2, 'bob', 'Bob'],
    [1, undefined, 'Ada'],
  ]);
  expect(asked).toEqual([[3, 1]]);
});

it('leaves out such a document whose message MySQL does not have', async () => {
  const { found } = await find([hit(2), hit(1)], [row(1, 'ada')]);
  expect(found.hits.map(({ messageNumber }) => messageNumber)).toEqual([1]);
});

it('asks MySQL for a sender also where the index has the name: a function of the release before wrote the document', async () => {
  const hits = [hit(2, { sender: 'bob', senderName: 'Bob' }), hit(1, { senderName: 'Ada, as she was' })];
  const { found, asked } = await find(hits, [row(1, 'ada')]);
  expect(found.hits.map(({ sender, senderName }) => [sender, senderName])).toEqual([
    ['bob', 'Bob'],
    ['ada', 'Ada, as she was'],
  ]);
  expect(asked).toEqual([[1]]);
});

it('shows such a document without its sender while MySQL does not answer, but none without its name', async () => {
  const away = unavailable('The database does not answer.');
  const { found } = await find([hit(1, { senderName: 'Ada' })], away);
  expect(found.hits).toEqual([hit(1, { senderName: 'Ada' })]);
  await expect(find([hit(2, { senderName: 'Ada' }), hit(1)], away)).rejects.toBe(away);
});
