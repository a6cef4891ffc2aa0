import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Change,
  type ChangedItem,
  type ChangeEvent,
  changedItemText,
  changeTypeOf,
  changeTypes,
  dateOfChange,
  mergeChanges,
  NUMBER_STEP,
  type NumberedChange,
  numberUpTo,
  openingOf,
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

describe('a position', () => {
  const NOW = 1_764_563_400_000_000;

  test('without a mark follows no opening', () => {
    expect(openingOf(numberUpTo(NOW), 40)).toBe(0);
  });

  test('at the end of a cut page is below the next number, and tells its opening for fourteen more', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 500 }), fc.nat(14), (offset, epoch, later) => {
        const number = numberUpTo(NOW + offset);
        const changes = [number, number + NUMBER_STEP].map((changeNumber) => ({
          type: 'chat.created' as const,
          token: 'token',
          changeNumber,
        }));
        const page = mergeChanges([changes], { limit: 1, upTo: number + NUMBER_STEP, isCut: false, epoch });
        expect(page.more).toBe(true);
        expect(page.changeNumber).toBeGreaterThan(number);
        expect(page.changeNumber).toBeLessThan(number + NUMBER_STEP);
        expect(openingOf(page.changeNumber, epoch + later)).toBe(epoch);
      }),
    );
  });
});

test('merged lists are the lowest changes of both, each once, up to the end or to the last that was looked at', () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 });
  const page = fc.record({ limit: fc.integer({ min: 1, max: 8 }), upTo: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(numbers, numbers, page, fc.boolean(), (one, other, { limit, upTo }, isCut) => {
      const toList = (of: number[]) =>
        of
          .map((n) => ({ type: 'chat.created' as const, token: 'token', changeNumber: n * NUMBER_STEP }))
          .sort((a, b) => a.changeNumber - b.changeNumber)
          .slice(0, limit + 1);
      const merged = mergeChanges([toList(one), toList(other)], {
        limit,
        upTo: upTo * NUMBER_STEP,
        isCut,
        epoch: 1,
      });
      const all = [...new Set([...one, ...other])].filter((n) => n <= upTo).sort((a, b) => a - b);
      expect(merged.items.map(({ changeNumber }) => changeNumber / NUMBER_STEP)).toEqual(all.slice(0, limit));
      expect(merged.more).toBe(all.length > limit || isCut);
      const last = all.length > limit ? all[limit - 1] : upTo;
      expect(numberUpTo(merged.changeNumber) / NUMBER_STEP).toBe(last);
      expect(openingOf(merged.changeNumber, 1)).toBe(merged.more ? 1 : 0);
    }),
  );
});
