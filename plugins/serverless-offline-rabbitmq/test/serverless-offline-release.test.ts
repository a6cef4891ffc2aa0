import { expect, it } from 'vitest';
import { findBrokenRelease, isOlder } from '../src/serverless-offline-release.ts';

it.each([
  ['13.9.0', true],
  ['14.7.3', true],
  ['14.7.4', false],
  ['14.10.0', false],
  ['15.0.0-beta.1', false],
])('serverless-offline %s is older than the first release that works: %s', (version, isOld) => {
  expect(isOlder(version)).toBe(isOld);
});

it('the installed release needs no warning', () => {
  expect(findBrokenRelease()).toEqual([]);
});
