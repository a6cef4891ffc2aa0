import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '#lib/domain/limits.ts';
import { createCursors } from '#lib/reading/cursors.ts';

const key = (letter: string) => Buffer.alloc(32, letter);
const cursors = createCursors([key('s')]);
const chat = { token: 'app', chatNumber: 1 };

const position = fc.record({
  // All that a DATETIME holds and a client may send.
  createdAtMs: fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') }),
  messageNumber: fc.integer({ min: 1, max: limits.number }),
});
const anyChat = fc.record({
  token: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  chatNumber: fc.integer({ min: 1, max: limits.number }),
});

describe('cursors', () => {
  test('lead back to where they were written', () => {
    fc.assert(
      fc.property(position, anyChat, (place, chat) => {
        expect(cursors.read(cursors.write(place, chat), chat)).toEqual(place);
      }),
    );
  });

  const place = fc
    .tuple(position, fc.nat(2 ** 24), fc.integer({ min: 1, max: limits.number }))
    .map(([at, score, chatNumber]) => ({ ...at, score, chatNumber }));
  const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined });
  /** A search of one chat or of an application, by any of the filters. */
  const anySearch = fc.record({
    token: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    chatNumber: maybe(fc.integer({ min: 1, max: limits.number })),
    text: maybe(fc.string()),
    sender: maybe(fc.string()),
    fromMs: maybe(fc.maxSafeInteger()),
    toMs: maybe(fc.maxSafeInteger()),
    order: fc.constantFrom('best' as const, 'newest' as const),
  });

  test('of a search lead back to where they were written', () => {
    fc.assert(
      fc.property(
        place,
        maybe(fc.integer({ min: 1, max: limits.number })),
        anySearch,
        (place, upTo, search) => {
          const written = cursors.writeHit({ ...place, upTo }, search);
          expect(cursors.readHit(written, search)).toEqual({ ...place, upTo });
          expect(encodeURIComponent(written)).toBe(written);
          expect(written.length).toBeLessThanOrEqual(200);
        },
      ),
    );
  });

  test('of a search lead nowhere in a search that differs in anything', () => {
    const field = fc.constantFrom(
      ...(['token', 'chatNumber', 'text', 'sender', 'fromMs', 'toMs', 'order'] as const),
    );
    fc.assert(
      fc.property(place, anySearch, anySearch, field, (place, search, other, name) => {
        fc.pre(search[name] !== other[name]);
        const written = cursors.writeHit(place, search);
        expect(cursors.readHit(written, { ...search, [name]: other[name] })).toBeUndefined();
        expect(cursors.readHit(written, other)).toBeUndefined();
      }),
    );
  });

  test('of a search by a sender lead nowhere in a search for the same letters', () => {
    const at = { score: 1, createdAtMs: 1, chatNumber: 1, messageNumber: 1 };
    const written = cursors.writeHit(at, { ...chat, sender: 'ada', order: 'newest' });
    expect(cursors.readHit(written, { ...chat, text: 'ada', order: 'newest' })).toBeUndefined();
  });

  test('of one kind are none of the other', () => {
    fc.assert(
      fc.property(position, anyChat, fc.string(), (place, chat, text) => {
        const search = { ...chat, text };
        expect(cursors.readHit(cursors.write(place, chat), search)).toBeUndefined();
        expect(cursors.read(cursors.writeHit({ ...place, ...chat, score: 0 }, search), chat)).toBeUndefined();
      }),
    );
  });

  test('hold nothing but numbers that their page shows, and a signature', () => {
    fc.assert(
      fc.property(position, anyChat, (place, chat) => {
        const [createdAt, number, ...rest] = cursors.write(place, chat).split('.');
        expect(Number.parseInt(createdAt ?? '', 36)).toBe(place.createdAtMs);
        expect(Number.parseInt(number ?? '', 36)).toBe(place.messageNumber);
        expect(rest).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{16}$/)]);
      }),
    );
  });

  test('are safe in a query as they are', () => {
    fc.assert(
      fc.property(position, (place) => {
        const cursor = cursors.write(place, chat);
        expect(encodeURIComponent(cursor)).toBe(cursor);
      }),
    );
  });

  test('lead nowhere once a character is changed, added or missing', () => {
    fc.assert(
      fc.property(position, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (place, at, character) => {
        const cursor = cursors.write(place, chat);
        const i = at % cursor.length;
        fc.pre(cursor[i] !== character);
        expect(cursors.read(cursor.slice(0, i) + character + cursor.slice(i + 1), chat)).toBeUndefined();
        expect(cursors.read(cursor.slice(0, i) + character + cursor.slice(i), chat)).toBeUndefined();
        expect(cursors.read(cursor.slice(0, i) + cursor.slice(i + 1), chat)).toBeUndefined();
      }),
    );
  });

  test('lead nowhere in another chat', () => {
    fc.assert(
      fc.property(position, anyChat, anyChat, (place, chat, other) => {
        fc.pre(chat.token !== other.token || chat.chatNumber !== other.chatNumber);
        expect(cursors.read(cursors.write(place, chat), other)).toBeUndefined();
      }),
    );
  });

  test('are not made of just anything', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(cursors.read(text, chat)).toBeUndefined();
      }),
    );
  });

  test('outlive the rotation of the secret for as long as the old one is kept', () => {
    const place = { createdAtMs: 1, messageNumber: 1 };
    const old = cursors.write(place, chat);
    const rotated = createCursors([key('t'), key('s')]);
    expect(rotated.read(old, chat)).toEqual(place);
    expect(cursors.read(rotated.write(place, chat), chat)).toBeUndefined();
    expect(createCursors([key('t')]).read(old, chat)).toBeUndefined();
  });
});
