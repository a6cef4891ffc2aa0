import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyEdit, type Message, mergeByNumber, positionOf, toResponse } from '#lib/domain/message.ts';
import { comparePositions } from '#lib/domain/position.ts';

const message = (messageNumber: number, version: number, createdAtMs = 0): Message => ({
  token: 'app',
  chatNumber: 1,
  messageNumber,
  senderId: 42,
  senderName: 'ana',
  body: `version ${version}`,
  createdAtMs,
  version,
});
const messages = fc.array(
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
    .map(([messageNumber, version]) => message(messageNumber, version)),
);

describe('messages', () => {
  test('are answered newest first, then by the higher number', () => {
    const sorted = [message(1, 1, 5), message(2, 1, 5), message(3, 1, 1), message(4, 1, 9)].sort((a, b) =>
      comparePositions(positionOf(a), positionOf(b)),
    );
    expect(sorted.map(({ messageNumber }) => messageNumber)).toEqual([4, 2, 1, 3]);
  });

  test('merged from several places are there once each, in the newest version', () => {
    fc.assert(
      fc.property(messages, messages, (some, others) => {
        const merged = mergeByNumber(some, others);
        const all = [...some, ...others];
        expect(merged.map(({ messageNumber }) => messageNumber).sort()).toEqual(
          [...new Set(all.map(({ messageNumber }) => messageNumber))].sort(),
        );
        for (const { messageNumber, version } of merged) {
          const versions = all.filter((one) => one.messageNumber === messageNumber).map((one) => one.version);
          expect(version).toBe(Math.max(...versions));
        }
      }),
    );
  });

  test('take an edit that is newer, and no other', () => {
    const edit = { messageNumber: 1, body: 'edited', editedAtMs: 7, version: 5 };
    expect(applyEdit(message(1, 4), edit)).toMatchObject({ body: 'edited', editedAtMs: 7, version: 5 });
    expect(applyEdit(message(1, 5), edit)).toEqual(message(1, 5));
    expect(applyEdit(message(1, 4), undefined)).toEqual(message(1, 4));
  });

  test('are not changed by any edit after a deletion, in whatever order they arrive', () => {
    const deletion = { messageNumber: 1, body: '', deleted: true as const, editedAtMs: 7, version: 5 };
    const edits = fc.array(
      fc.integer({ min: 1, max: 9 }).map((version) => ({
        messageNumber: 1,
        body: `version ${version}`,
        editedAtMs: version,
        version,
      })),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), edits, edits, (version, before, after) => {
        const edited = before.reduce(applyEdit, message(1, version));
        const deleted = applyEdit(edited, deletion);
        const { editedAtMs } = edited;
        expect(deleted).toEqual({
          ...message(1, Math.max(edited.version + 1, 5)),
          body: '',
          deletedAtMs: 7,
          ...(editedAtMs === undefined ? {} : { editedAtMs }),
        });
        expect(after.reduce(applyEdit, deleted)).toEqual(deleted);
        expect(applyEdit(deleted, { ...deletion, version: 8 })).toEqual(deleted);
        const others = [message(1, 9), deleted, edited];
        expect(mergeByNumber(others)).toEqual([deleted]);
        expect(mergeByNumber(others.reverse())).toEqual([deleted]);
      }),
    );
  });

  test('show clients no id', () => {
    const { token, chatNumber, senderId, version, ...told } = message(1, 4);
    expect(toResponse({ token, chatNumber, senderId, version, ...told })).toEqual({
      messageNumber: 1,
      senderName: 'ana',
      body: 'version 4',
      createdAt: '1970-01-01T00:00:00.000Z',
      changeNumber: 4,
    });
  });
});
