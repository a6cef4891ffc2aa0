import { expect, it } from 'vitest';
import {
  compareChat,
  differs,
  isNumberedInOrder,
  type Kept,
  noDifference,
} from '../../../../local/demo/comparison.ts';

const message = (messageNumber: number, more: Partial<Kept> = {}): Kept => ({
  messageNumber,
  body: `body ${messageNumber}`,
  createdAtMs: messageNumber,
  senderName: 'ada',
  ...more,
});
const accepted = [message(1), message(2), message(3)];

const compare = (found: Kept[]) => {
  const difference = noDifference();
  compareChat(difference, 'a store', accepted, found);
  return difference;
};

it('finds no difference between equal messages, in any order and with or without the sender', () => {
  const { senderName: _, ...unnamed } = message(2);
  expect(differs(compare([message(3), message(1), unnamed]))).toBe(false);
});

it.each([
  ['missing', [message(1), message(3)]],
  ['twice', [...accepted, message(2)]],
  ['foreign', [...accepted, message(4)]],
  ['changed', [message(1), message(2, { body: 'other' }), message(3)]],
  ['changed', [message(1), message(2, { createdAtMs: 0 }), message(3)]],
  ['changed', [message(1), message(2, { senderName: 'eve' }), message(3)]],
] as const)('counts what is %s', (kind, found) => {
  const difference = compare([...found]);
  expect(difference).toMatchObject({
    ...noDifference(),
    [kind]: 1,
    examples: [expect.stringContaining(kind)],
  });
  expect(differs(difference)).toBe(true);
});

it('knows numbers that are not 1…n in order', () => {
  expect(isNumberedInOrder(accepted)).toBe(true);
  expect(isNumberedInOrder([message(2), message(1)])).toBe(false);
  expect(isNumberedInOrder([message(1), message(3)])).toBe(false);
});
