import { expect, test } from 'vitest';
import { mayShow } from './ledger.ts';
import { Needles } from './needles.ts';
import { Register } from './register.ts';

test('a needle may be shown until the 200 of its deletion, and is found anywhere in a text after it', () => {
  const needles = new Needles();
  const [one, other] = [needles.make(), needles.make()];
  const text = `{"body":"m1 ${one} the <em>${other}</em>"}`;
  expect(needles.shownIn(text)).toEqual([]);
  needles.deleted([one], { at: 10, isStored: true });
  expect(needles.shownIn(text, { from: 9 })).toEqual([]);
  expect(needles.shownIn(text, { from: 11 })).toEqual([one]);
  expect(needles.shownIn(text, { from: 11, isRedisAway: true })).toEqual([one]);
  needles.deleted([other], { at: 12, isStored: false });
  expect(needles.shownIn(text, { from: 13, isRedisAway: true })).toEqual([one]);
  expect(needles.shownIn(text)).toEqual([one, other]);
});

test('a deletion may show from its beginning, must show from its 200, and no edit wins over it', () => {
  const body = new Register('first', 0);
  const message = { number: 1, tag: 'm1', body, sender: 1, createdAt: 0, needles: [] };
  const deleted = { ...message, deletion: { beganAt: 10, endedAt: 20 } };
  body.begin('edited', 15).acknowledged(30);
  expect(mayShow(message, '', 5, 6)).toBe(false);
  expect([mayShow(deleted, '', 5, 9), mayShow(deleted, 'first', 5, 9)]).toEqual([false, true]);
  expect([mayShow(deleted, '', 12, 16), mayShow(deleted, 'edited', 12, 16)]).toEqual([true, true]);
  expect(['', 'first', 'edited'].map((shown) => mayShow(deleted, shown, 25, 26))).toEqual([
    true,
    false,
    false,
  ]);
  expect(['', 'first', 'edited'].map((shown) => mayShow(deleted, shown))).toEqual([true, false, false]);
});
