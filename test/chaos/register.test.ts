import { expect, test } from 'vitest';
import { Register } from './register.ts';

test('readers see the last acknowledged write', () => {
  const register = new Register('first', 1);
  register.begin('second', 2).acknowledged(3);
  register.begin('third', 4).acknowledged(5);
  expect(['first', 'second', 'third'].filter((value) => register.allows(value))).toEqual(['third']);
});

test('of two at once either may have won', () => {
  const register = new Register('first', 1);
  const [one, other] = [register.begin('one', 2), register.begin('other', 3)];
  one.acknowledged(5);
  other.acknowledged(4);
  expect(['first', 'one', 'other'].filter((value) => register.allows(value))).toEqual(['one', 'other']);
});

test('a write without an answer may show at any time, and need not', () => {
  const register = new Register('first', 1);
  register.begin('nobody knows', 2);
  register.begin('second', 3).acknowledged(4);
  expect(['first', 'nobody knows', 'second'].filter((value) => register.allows(value))).toEqual([
    'nobody knows',
    'second',
  ]);
});

test('a reader may see a value that no acknowledged write had replaced when it began', () => {
  const register = new Register('first', 1);
  register.begin('second', 5).acknowledged(7);
  expect(register.allows('first', 6, 8)).toBe(true);
  expect(register.allows('second', 6, 8)).toBe(true);
  expect(register.allows('first', 7.5, 8)).toBe(false);
  expect(register.allows('second', 3, 4)).toBe(false);
});
