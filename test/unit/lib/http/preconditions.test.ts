import { expect, it } from 'vitest';
import { preconditions } from '#lib/http/preconditions.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

const edits = contractOf({ method: 'PUT', errors: ['precondition-failed'] });
const expected = async (headers: Record<string, string>, contract = edits) =>
  (await before(preconditions, httpEvent(contract, { headers }))).expected;

it('is nothing without a header, and on routes whose item has no version', async () => {
  expect(await expected({})).toBeUndefined();
  expect(await expected({ 'if-match': '"17-x"', 'if-none-match': '*' }, contractOf())).toBeUndefined();
});

it.each<[string, number[] | undefined]>([
  ['"1767225600000001-FeWhC_iFBK9g52wTlqi1Me"', [1_767_225_600_000_001]],
  ['"17-a", "18-b"', [17, 18]],
  ['"17-a","18-b" ,\t"19-"', [17, 18, 19]],
  ['"17-with,a-comma", "18-b"', [17, 18]],
  ['*', undefined],
  [' * ', undefined],
  // Weak tags never match strongly, and no item has a tag without a version.
  ['W/"17-a"', []],
  ['W/"17-a", "18-b"', [18]],
  ['"17"', []],
  ['"-17-a"', []],
  ['"017-a"', []],
  ['"0-a"', []],
  ['"17.5-a"', []],
  ['"99999999999999999-a"', []],
  ['17-a', []],
  ['', []],
  ['"', []],
])('reads If-Match: %s', async (header, versions) => {
  expect(await expected({ 'if-match': header })).toEqual(versions);
});

it('is no version with If-None-Match: *, whatever If-Match names', async () => {
  expect(await expected({ 'if-none-match': '*' })).toEqual([]);
  expect(await expected({ 'if-none-match': ' * ', 'if-match': '"17-a"' })).toEqual([]);
  expect(await expected({ 'if-none-match': '"17-a"' })).toBeUndefined();
});
