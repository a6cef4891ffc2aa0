import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { readBody } from '#lib/http/read-body.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

type Sent = { optional?: true; headers?: Record<string, string> };
const json = { 'content-type': 'application/json' };

const eventOf = (body: string | Uint8Array | undefined, { optional, headers = json }: Sent = {}) =>
  httpEvent(contractOf({ request: { body: z.unknown(), ...(optional ? { bodyOptional: true } : {}) } }), {
    headers,
    isBase64Encoded: body instanceof Uint8Array,
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' ? body : Buffer.from(body).toString('base64') }),
  });
const read = async (...sent: Parameters<typeof eventOf>) =>
  (await before(readBody, eventOf(...sent))).content;
const codeOf = async (...sent: Parameters<typeof eventOf>): Promise<string | undefined> =>
  read(...sent).then(
    () => undefined,
    (error) => error.code,
  );

describe('a body', () => {
  it('is any JSON value, as text and in base64', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        expect(await read(text)).toEqual(JSON.parse(text));
        expect(await read(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('may begin with a byte order mark, as editors and .NET write it', async () => {
    for (const text of ['{"body":"\ufeff is kept inside"}', '[]', ' {}', '"\ufeff"', 'null']) {
      expect(await read(`\ufeff${text}`)).toEqual(JSON.parse(text));
      expect(await read(Buffer.from(`\ufeff${text}`))).toEqual(JSON.parse(text));
    }
    expect(await codeOf(Buffer.from('\ufeff{}', 'utf16le'))).toBe('bad-input');
  });

  it('has the last value of a repeated key, at any depth', async () => {
    expect(await read('{"a":1,"b":{"c":1,"c":[2]},"a":{"d":3}}')).toEqual({ a: { d: 3 }, b: { c: [2] } });
  });

  it.each([
    '{',
    '{"a": }',
    'nope',
    "{'a':1}",
    '{"a":1}x',
    ' ',
    '\ufeff',
    '\ufeff\ufeff{}',
    '{}\ufeff',
    '{\ufeff}',
    'NaN',
    '[1,]',
  ])('that is not JSON is refused: %j', async (text) =>
    expect([await codeOf(text), await codeOf(Buffer.from(text))]).toEqual(['bad-input', 'bad-input']),
  );

  it('that is not UTF-8 is refused', async () => {
    expect(await codeOf(Buffer.from('{"body":"Übung"}', 'latin1'))).toBe('bad-input');
    expect(await codeOf(Buffer.from('{"body":"Übung"}', 'utf16le'))).toBe('bad-input');
    expect(await codeOf(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toBe('bad-input');
  });

  it.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; charset=latin1',
    'application/json; charset=',
    'application/json; CHARSET = "iso-8859-1"; x=1',
    'application/jsonp',
    'application/json x',
    'application/json, text/plain',
    'application/json; x=1, text/plain',
    'application/problem+json',
    '',
    ';',
    'json',
  ])('declared as %s is refused', async (type) => {
    expect(await codeOf('{}', { headers: type === undefined ? {} : { 'content-type': type } })).toBe(
      'not-json',
    );
  });

  it.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json ; charset="UTF-8"',
    'application/json;',
    'application/json; x=1',
    'application/json; x="y"; charset=utf-8',
  ])('declared as %s is read', async (type) =>
    expect(await read('{}', { headers: { 'content-type': type } })).toEqual({}),
  );

  it.each(['br', 'gzip', 'identity', ''])('with Content-Encoding "%s" is refused', async (encoding) => {
    expect(await codeOf('{}', { headers: { ...json, 'content-encoding': encoding } })).toBe('not-json');
  });
});

describe('no body', () => {
  it('needs no type, and counts as an empty object where it may be left out', async () => {
    expect(await read(undefined, { optional: true, headers: {} })).toEqual({});
    expect(await read('', { optional: true, headers: {} })).toEqual({});
  });

  it('is no value elsewhere', async () => {
    expect(await read(undefined, { headers: {} })).toBeUndefined();
  });
});

describe('the limit', () => {
  it.each(['x', 'é', '€', '👋'])('counts bytes of UTF-8: %s', async (character) => {
    const fits = `"${character.repeat(Math.floor((limits.requestBytes - 2) / Buffer.byteLength(character)))}"`;
    const over = `${fits}${' '.repeat(limits.requestBytes + 1 - Buffer.byteLength(fits))}`;
    expect([await codeOf(fits), await codeOf(Buffer.from(fits))]).toEqual([undefined, undefined]);
    expect([await codeOf(over), await codeOf(Buffer.from(over))]).toEqual(['too-large', 'too-large']);
  });

  it('holds every valid message, however it is escaped', async () => {
    const escaped = '\\ud83d\\ude00'.repeat(limits.body);
    const text = JSON.stringify({ body: '', createdAt: '2026-03-01T09:30:00.000000000+00:00' });
    expect(await codeOf(text.replace('""', `"${escaped}"`))).toBeUndefined();
  });
});
