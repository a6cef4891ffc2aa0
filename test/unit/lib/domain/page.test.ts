import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '#lib/domain/limits.ts';
import { maxMessageBytes, toResponse } from '#lib/domain/message.ts';
import { maxPageBytes, pageOf } from '#lib/domain/page.ts';

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** Texts whose bytes are not their length: escaped, of two, three and four bytes. */
const item = fc
  .record({
    sign: fc.constantFrom('\u0001', '"', 'a', 'é', '犬', '😀'),
    length: fc.integer({ min: 0, max: 200_000 }),
  })
  .map(({ sign, length }) => ({ body: sign.repeat(length) }));

describe('a page', () => {
  test('holds the first items, as many as fit into its bytes and its limit', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (found, limit) => {
        const { items, hasMore, isCut } = pageOf(found, { limit });
        expect(items).toEqual(found.slice(0, items.length));
        expect(hasMore).toBe(items.length < found.length);
        expect(isCut).toBe(items.length < Math.min(limit, found.length));
        if (items.length > 1) expect(bytesOf(items)).toBeLessThanOrEqual(maxPageBytes);
        if (isCut) expect(bytesOf(found.slice(0, items.length + 1))).toBeGreaterThan(maxPageBytes);
      }),
      { numRuns: 30 },
    );
  });

  test('has one item, however large', () => {
    const large = { body: 'x'.repeat(maxPageBytes) };
    expect(pageOf([large, large], { limit: 2 })).toEqual({ items: [large], hasMore: true, isCut: true });
  });

  test('is not measured where its items cannot be too large', () => {
    const unmeasurable = { toJSON: () => expect.unreachable() };
    expect(pageOf([unmeasurable], { limit: 1, maxItemBytes: 1_000 }).items).toEqual([unmeasurable]);
  });
});

describe('the most that an item takes', () => {
  const widest = (length: number) => ['\u0001', '"', '\u2028', '犬', '😀'].map((sign) => sign.repeat(length));

  test('of a message is at most its bound', () => {
    for (const body of widest(limits.body)) {
      const [senderName = ''] = widest(limits.name);
      const largest = toResponse({
        token: 't'.repeat(limits.token),
        chatNumber: limits.number,
        messageNumber: limits.number,
        senderId: Number.MAX_SAFE_INTEGER,
        senderName,
        body,
        createdAtMs: Date.now(),
        editedAtMs: Date.now(),
        version: Number.MAX_SAFE_INTEGER,
      });
      expect(bytesOf(largest)).toBeLessThanOrEqual(maxMessageBytes);
    }
  });

  test('of a chat and of an application leaves a whole page below the bound', () => {
    for (const title of widest(limits.title)) {
      const chat = { chatNumber: limits.number, title, messagesCount: limits.number };
      const application = { token: 't'.repeat(limits.token), name: title, chatsCount: limits.number };
      expect(limits.pageSize * (bytesOf(chat) + 1)).toBeLessThan(maxPageBytes);
      expect(limits.pageSize * (bytesOf(application) + 1)).toBeLessThan(maxPageBytes);
    }
  });
});
