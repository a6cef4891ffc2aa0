import { describe, expect, test } from 'vitest';
import type { Message } from '#lib/domain/message.ts';
import { maxPageBytes } from '#lib/domain/page.ts';
import type { PageStart } from '#lib/domain/position.ts';
import { createCursors } from '#lib/reading/cursors.ts';
import { listMessages } from '../../../../../functions/http/messages/list-messages.ts';

const chat = { token: 'application', chatNumber: 1 };
const cursors = createCursors([Buffer.alloc(32, 's')]);

/** A chat of so many messages of one text, newest first. */
const conversationOf = (count: number, body: string) => {
  const messages = Array.from(
    { length: count },
    (_, at): Message => ({
      ...chat,
      messageNumber: count - at,
      senderId: 4711,
      senderName: 'Ada',
      body,
      createdAtMs: 1_000 * (count - at),
      version: 1,
    }),
  );
  return {
    page: async (_chat: object, query: PageStart & { skip: number; count: number }) => {
      const before = query.before?.messageNumber ?? count + 1;
      const after = query.after === 'start' ? 0 : (query.after?.messageNumber ?? 0);
      const beyond = messages.filter(({ messageNumber }) => messageNumber < before && messageNumber > after);
      const read = query.after === undefined ? beyond : beyond.toReversed();
      return { messages: read.slice(query.skip, query.skip + query.count) };
    },
  };
};

const list = (
  conversation: ReturnType<typeof conversationOf>,
  input: { page?: number; limit: number; before?: string; after?: string },
) =>
  listMessages(
    {
      input: { ...chat, ...input },
      caller: { id: 1, name: 'Ada', generation: 0 },
      credentials: { user: '', password: '' },
      idempotency: undefined,
      clientAddress: '127.0.0.1',
    },
    { conversation, cursors },
  );

describe('a page of messages', () => {
  const large = conversationOf(70, '\u0001'.repeat(16_000));

  test('ends at 4 MB of JSON, and its link leads to the first message not shown', async () => {
    const numbers: number[] = [];
    let next: { before: string } | { after: string } | undefined;
    let pages = 0;
    do {
      const page = await list(large, { limit: 100, ...next });
      expect(Buffer.byteLength(JSON.stringify(page.items))).toBeLessThanOrEqual(maxPageBytes);
      numbers.push(...page.items.map(({ messageNumber }) => messageNumber));
      next = page.next;
      pages += 1;
    } while (next !== undefined);
    expect(numbers).toEqual(Array.from({ length: 70 }, (_, at) => 70 - at));
    expect(pages).toBe(2);
  });

  test('begins at its own place by number, where the page before was cut', async () => {
    const first = await list(large, { limit: 50 });
    const second = await list(large, { limit: 50, page: 2 });
    expect(first.items.length).toBeLessThan(50);
    expect(second.items[0]?.messageNumber).toBe(20);
    expect(second.next).toBeUndefined();
  });

  test('links on only where there is more', async () => {
    const small = conversationOf(20, 'hello');
    expect((await list(small, { limit: 10 })).next).toBeDefined();
    expect((await list(small, { limit: 10, page: 2 })).next).toBeUndefined();
    expect((await list(small, { limit: 20 })).next).toBeUndefined();
  });

  test('ends at 4 MB of JSON oldest first, too, and its link leads to the first message not shown', async () => {
    const numbers: number[] = [];
    let next: { before: string } | { after: string } | undefined = { after: 'start' };
    while (next !== undefined) {
      const page: Awaited<ReturnType<typeof list>> = await list(large, { limit: 100, ...next });
      expect(Buffer.byteLength(JSON.stringify(page.items))).toBeLessThanOrEqual(maxPageBytes);
      numbers.push(...page.items.map(({ messageNumber }) => messageNumber));
      next = page.next;
    }
    expect(numbers).toEqual(Array.from({ length: 70 }, (_, at) => at + 1));
  });

  test('refuses a cursor of another chat or of a search, and names it', async () => {
    const place = { createdAtMs: 1_000, messageNumber: 1 };
    const foreign = [
      cursors.write(place, { ...chat, chatNumber: 2 }),
      cursors.writeHit({ ...place, ...chat, score: 0, upTo: 1 }, { ...chat, text: 'hello' }),
      'nonsense',
    ];
    for (const cursor of foreign) {
      for (const name of ['before', 'after']) {
        await expect(list(large, { limit: 10, [name]: cursor })).rejects.toMatchObject({
          code: 'bad-input',
          fields: [{ path: name }],
        });
      }
    }
  });
});

describe('the links of a page', () => {
  const chatOf20 = conversationOf(20, 'hello');
  const numbersOf = ({ items }: { items: { messageNumber: number }[] }) =>
    items.map(({ messageNumber }) => messageNumber);
  const from = (first: number, count: number, step: number) =>
    Array.from({ length: count }, (_, at) => first + step * at);

  test('lead on in the direction of reading, and back the other way', async () => {
    const newest = await list(chatOf20, { limit: 6 });
    expect(newest.prev).toBeUndefined();
    const second = await list(chatOf20, { limit: 6, ...newest.next });
    expect(numbersOf(second)).toEqual(from(14, 6, -1));
    const back = await list(chatOf20, { limit: 6, ...second.prev });
    expect(numbersOf(back)).toEqual(from(15, 6, 1));
    expect(back.next).toBeUndefined();
    expect(numbersOf(await list(chatOf20, { limit: 6, ...back.prev }))).toEqual(numbersOf(second));
  });

  test('lead from the oldest message to the newest, where they end', async () => {
    const oldest = await list(chatOf20, { limit: 8, after: 'start' });
    expect(numbersOf(oldest)).toEqual(from(1, 8, 1));
    expect(oldest.prev).toBeUndefined();
    const second = await list(chatOf20, { limit: 8, ...oldest.next });
    const last = await list(chatOf20, { limit: 8, ...second.next });
    expect(numbersOf(last)).toEqual(from(17, 4, 1));
    expect(last.next).toBeUndefined();
    expect(numbersOf(await list(chatOf20, { limit: 8, ...last.prev }))).toEqual(from(16, 8, -1));
  });

  test('lead back from an empty page to the place where it begins', async () => {
    const after = cursors.write({ createdAtMs: 20_000, messageNumber: 20 }, chat);
    const empty = await list(chatOf20, { limit: 5, after });
    expect(empty).toEqual({ items: [], next: undefined, prev: { before: after } });
    expect(numbersOf(await list(chatOf20, { limit: 5, ...empty.prev }))).toEqual(from(19, 5, -1));
  });

  test('lead back from a page by number', async () => {
    const third = await list(chatOf20, { limit: 5, page: 3 });
    expect(numbersOf(await list(chatOf20, { limit: 5, ...third.prev }))).toEqual(from(11, 5, 1));
    expect((await list(chatOf20, { limit: 5, page: 9 })).prev).toBeUndefined();
  });
});
