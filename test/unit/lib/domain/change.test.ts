import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Change,
  type ChangedItem,
  type ChangeEvent,
  changedItemText,
  changeTypeOf,
  changeTypes,
  dateOfChange,
  type NumberedChange,
  parseChangedItem,
} from '#lib/domain/change.ts';

const number = fc.integer({ min: 1, max: 4_294_967_294 });
const item: fc.Arbitrary<ChangedItem> = fc.oneof(
  fc.record({ type: fc.constantFrom(...changeTypes), token: fc.constant('token') }),
  fc.record({ type: fc.constantFrom(...changeTypes), token: fc.constant('token'), chatNumber: number }),
  fc.record({
    type: fc.constantFrom(...changeTypes),
    token: fc.constant('token'),
    chatNumber: number,
    messageNumber: number,
  }),
);

test('a changed item is read as it was written, whatever follows it', () => {
  fc.assert(
    fc.property(item, number, (one, id) => {
      expect(parseChangedItem(one.token, `${changedItemText(one)}${id}`)).toEqual(one);
    }),
  );
});

test('a text that names no change is none', () => {
  for (const text of ['', 'message', 'message.moved:1:2:3', 'chat:1:0:4'])
    expect(parseChangedItem('token', text)).toBeUndefined();
});

test('creations, edits and deletions have types of their own', () => {
  expect(changeTypeOf({ item: 'message', creates: 'messageNumber' }, false)).toBe('message.created');
  expect(changeTypeOf({ item: 'chat' }, false)).toBe('chat.updated');
  expect(changeTypeOf({ item: 'application' }, true)).toBe('application.deleted');
});

test('a change number is the time of the change', () => {
  const change: Change = {
    type: 'chat.created',
    token: 'token',
    chatNumber: 1,
    changeNumber: 1_764_563_400_123_456,
  };
  const numbered: NumberedChange = { ...change, before: {} };
  const event: ChangeEvent = { ...change, date: dateOfChange(numbered) };
  expect(event.date).toBe('2025-12-01T04:30:00.123Z');
});
