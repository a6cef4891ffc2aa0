import { expect, test } from 'vitest';
import { Ledger, mayBeGone, mayExist, mayShow } from './ledger.ts';
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

test('the words of an erased account may be shown until its erasure has ended, and the first deletion of a word counts', () => {
  const needles = new Needles();
  const [name, handle] = [needles.make(), '0123456789abcdef'];
  const text = `{"sender":"${handle}","senderName":"${name}"}`;
  needles.erasing([name, handle]);
  expect(needles.shownIn(text)).toEqual([handle, name]);
  expect(needles.shownIn(text, { from: 11 })).toEqual([]);
  needles.deleted([name, handle], { at: 12, isStored: true });
  needles.deleted([name], { at: 20, isStored: true });
  expect(needles.shownIn(text, { from: 13 })).toEqual([handle, name]);
});

test('a deleted chat may be gone from the first request on, and is gone after the 200, as is one of a deleted application', () => {
  const deletion = { beganAt: 10, endedAt: 20, isStored: false };
  const present = { from: 5, to: 9, isRedisAway: false };
  const after = { from: 21, to: 22, isRedisAway: false };
  expect([mayExist([], after), mayBeGone([])]).toEqual([true, false]);
  expect([mayExist([deletion], present), mayBeGone([deletion], present)]).toEqual([true, false]);
  expect([mayExist([deletion], { ...after, from: 15 }), mayBeGone([deletion], after)]).toEqual([true, true]);
  expect(mayExist([deletion], after)).toBe(false);
  expect(mayExist([deletion], { ...after, isRedisAway: true })).toBe(true);
  expect(mayExist([{ ...deletion, isStored: true }], { ...after, isRedisAway: true })).toBe(false);
});

test('texts of a deleted chat are needles, whenever they are sent', () => {
  const ledger = new Ledger();
  ledger.keepApplication(1, 1, 'token', { tag: 'a1', name: 'a1', needles: [] });
  const application = ledger.applications.get('token');
  if (application === undefined) throw new Error('The ledger has lost the application.');
  ledger.keepChat(application, 1, 1, { tag: 'c1', title: 'c1', creator: 1, needles: [] });
  const chat = application.chats.get(1);
  if (chat === undefined) throw new Error('The ledger has lost the chat.');
  const early = ledger.needleFor(chat);
  expect(ledger.needles.shownIn(early)).toEqual([]);
  chat.deletion = { beganAt: 0, endedAt: performance.now(), isStored: true };
  ledger.deletedItem(chat, chat.deletion);
  const late = ledger.needleFor(chat);
  expect(ledger.needles.shownIn(`${early} ${late}`)).toEqual([early, late]);
});

test('a deletion may show from its beginning, must show from its 200, and no edit wins over it', () => {
  const body = new Register('first', 0);
  const message = { number: 1, tag: 'm1', body, sender: 1, createdAt: 0, needles: [] };
  const deleted = { ...message, deletion: { beganAt: 10, endedAt: 20, isStored: true } };
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
