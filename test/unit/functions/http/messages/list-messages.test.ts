import { describe, expect, test } from 'vitest';
import type { Message } from '#lib/domain/message.ts';
import { maxPageBytes } from '#lib/domain/page.ts';
import type { Position } from '#lib/domain/position.ts';
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
    page: async (_chat: object, query: { before?: Position | undefined; skip: number; count: number }) => {
      const before = query.before?.messageNumber ?? count + 1;
      return messages
        .filter(({ messageNumber }) => messageNumber < before)
        .slice(query.skip, query.skip + query.count);
    },
  };
};

const list = (
  conversation: ReturnType<typeof conversationOf>,
  input: { page?: number; limit: number; before?: string },
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
    let next: { before: string } | undefined;
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

  test('refuses a cursor of another chat or of a search, and names it', async () => {
    const place = { createdAtMs: 1_000, messageNumber: 1 };
    const foreign = [
      cursors.write(place, { ...chat, chatNumber: 2 }),
      cursors.writeHit({ ...place, ...chat, score: 0, upTo: 1 }, { ...chat, text: 'hello' }),
      'nonsense',
    ];
    for (const before of foreign) {
      await expect(list(large, { limit: 10, before })).rejects.toMatchObject({
        code: 'bad-input',
        fields: [{ path: 'before' }],
      });
    }
  });
});
