import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { maxPageBytes, pageOf } from '#lib/domain/page.ts';
import { lengthOf } from '#lib/domain/text.ts';
import { respond } from '#lib/http/respond.ts';
import { contractOf, httpEvent } from '../../../support/http-event.ts';

const thing = contractOf({ response: z.object({ shown: z.string() }) });
const things = contractOf({ response: z.array(z.object({ shown: z.string() })), list: true });

/** Made outside of the test and its time limit: the table of all code points takes seconds on a busy machine. */
const anyText = fc.string({ unit: 'binary' });

describe('the filter of responses', () => {
  /** A value that fits a schema of a contract, with database ids beside the fields of each object. */
  const sampleOf = (schema: unknown): unknown => {
    if (schema instanceof z.ZodOptional) return sampleOf(schema.unwrap());
    if (schema instanceof z.ZodArray) return [sampleOf(schema.element)];
    if (schema instanceof z.ZodObject) {
      const fields = Object.entries(schema.shape).map(([name, field]) => [name, sampleOf(field)]);
      return { ...Object.fromEntries(fields), id: 987_654, creatorId: 987_654, chat_id: '987654' };
    }
    if (schema instanceof z.ZodEnum) return schema.options[0];
    if (schema instanceof z.ZodLiteral) return schema.value;
    if (schema instanceof z.ZodBoolean) return true;
    return schema instanceof z.ZodString ? 'text' : 1;
  };
  const hasFields = ({ response, function: name }: RouteContract) =>
    !(response instanceof z.ZodString) && name !== 'getOpenapi';

  it.each(Object.entries(routes).filter(([, contract]) => hasFields(contract)))(
    'removes database ids from the answer of %s, at any depth',
    (_name, contract) => {
      const value = sampleOf(contract.response);
      expect(JSON.stringify(value)).toContain('987654');
      const answer = respond(httpEvent(contract), contract.list ? { items: value } : value);
      expect(answer.statusCode).toBe(200);
      expect(JSON.stringify(answer)).not.toContain('987654');
    },
  );

  it('refuses an answer without a declared field', () => {
    expect(() => respond(httpEvent(thing), { id: 1 })).toThrow(z.ZodError);
    expect(() => respond(httpEvent(things), { items: [{ shown: 1 }] })).toThrow(z.ZodError);
  });
});

describe('the headers', () => {
  it('name the type, forbid sniffing, and keep those of earlier middlewares', () => {
    const event = httpEvent(contractOf({ method: 'POST' }), { answerHeaders: { Vary: 'Origin' } });
    expect(respond(event, {}).headers).toEqual({
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
      Vary: 'Origin',
    });
  });

  it('contain those of a page, without a Link on the last page', () => {
    const answer = respond(httpEvent(things), { items: [], headers: { 'Search-Lag': '3' } });
    expect(answer.headers).toMatchObject({ 'Search-Lag': '3' });
    expect(answer.headers).not.toHaveProperty('Link');
  });

  it('link to the next page: the cursor replaces page, other parameters stay', () => {
    const event = httpEvent(things, { rawQueryString: 'page=3&limit=5&q=a%26b%20c' });
    expect(respond(event, { items: [], next: { before: 'x/ 1' } }).headers?.Link).toBe(
      '</things?limit=5&q=a%26b+c&before=x%2F+1>; rel="next"',
    );
    expect(respond(event, { items: [], next: { page: 4 } }).headers?.Link).toBe(
      '</things?limit=5&q=a%26b+c&page=4>; rel="next"',
    );
  });

  it('link with a well-formed header for any query and any cursor', () => {
    fc.assert(
      fc.property(anyText, anyText, (query, cursor) => {
        const event = httpEvent(things, { rawQueryString: query });
        const link = String(respond(event, { items: [], next: { before: cursor } }).headers?.Link);
        const [, target = ''] = /^<(\/things\?[!-;=?-~]*)>; rel="next"$/.exec(link) ?? [];
        expect(new URL(target, 'http://localhost').searchParams.get('before')).toBe(cursor);
      }),
    );
  });
});

describe('an answer to GET', () => {
  const ask = (ifNoneMatch: string | undefined, shown = 'yes', contract = thing) =>
    respond(
      httpEvent(contract, { headers: ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch } }),
      { shown },
    );
  const etag = String(ask(undefined).headers?.ETag);

  it('has an ETag of the version that a PUT can change, which is not in the body, and of the body', () => {
    const answer = respond(httpEvent(thing), { shown: 'yes', version: 1_767_225_600_000_001 });
    expect(answer.headers?.ETag).toBe(etag.replace('"0-', '"1767225600000001-'));
    expect(answer.body).toBe(JSON.stringify({ shown: 'yes' }));
  });

  it('has an ETag that changes only with the body', () => {
    expect(etag).toMatch(/^"0-[\w-]{22}"$/);
    expect(ask(undefined).headers?.ETag).toBe(etag);
    expect(ask(undefined, 'no').headers?.ETag).not.toBe(etag);
  });

  it.each([
    ['the tag', etag],
    ['its weak form', `W/${etag}`],
    ['a list that contains it', `"other", W/"x",${etag} , "more"`],
    ['any tag', '*'],
  ])('is 304 without a body for %s', (_what, header) => {
    const answer = ask(header);
    expect(answer).toEqual({ statusCode: 304, headers: { ETag: etag, 'Cache-Control': 'no-cache' } });
  });

  it('tells up to where it has every change, also where it is 304, and nothing if it may lag', () => {
    const upTo = 1_764_563_400_000_000;
    const headersFor = (answer: object, headers = {}) =>
      respond(httpEvent(thing, { headers }), answer).headers ?? {};
    expect(headersFor({ shown: 'a', upTo })['Changes-Up-To']).toBe(String(upTo));
    expect(headersFor({ shown: 'a', upTo }, { 'if-none-match': '*' })['Changes-Up-To']).toBe(String(upTo));
    expect(respond(httpEvent(things), { items: [], upTo }).headers).toMatchObject({
      'Changes-Up-To': String(upTo),
    });
    expect(headersFor({ shown: 'a', upTo: undefined })).not.toHaveProperty('Changes-Up-To');
  });

  it('is 304 with the headers by which caches and browsers keep origins apart, and with no other', () => {
    const answerHeaders = { Vary: 'Origin', 'Access-Control-Allow-Origin': 'https://a.example' };
    const event = httpEvent(things, { headers: { 'if-none-match': '*' }, answerHeaders });
    const answer = respond(event, { items: [], next: { page: 2 }, headers: { 'Search-Lag': '3' } });
    expect(Object.keys(answer.headers ?? {}).sort()).toEqual(
      ['Access-Control-Allow-Origin', 'Cache-Control', 'ETag', 'Vary'].sort(),
    );
  });

  it('has another ETag where only the link to the next page differs', () => {
    const tags = [undefined, { page: 2 }, { before: 'x' }].map(
      (next) => respond(httpEvent(things), { items: [], ...(next ? { next } : {}) }).headers?.ETag,
    );
    expect(new Set(tags).size).toBe(3);
  });

  it.each(['', '"other"', 'W/"other"', etag.slice(1, -1), `${etag.slice(0, -2)}"`, 'W/', ',', `w/${etag}`])(
    'is 200 with its body for %j',
    (header) => {
      expect(ask(header)).toMatchObject({ statusCode: 200, body: '{"shown":"yes"}' });
    },
  );

  it('may be cached by anyone on a public route, and only by the client on other routes', () => {
    expect(ask(undefined).headers?.['Cache-Control']).toBe('no-cache');
    const own = ask(undefined, 'yes', { ...thing, authentication: 'bearer' });
    expect(own.headers?.['Cache-Control']).toBe('private, no-cache');
  });

  it('has the same headers and no body for HEAD', () => {
    const event = httpEvent(thing);
    event.requestContext.http.method = 'HEAD';
    const { body, ...answer } = ask(undefined);
    expect(respond(event, { shown: 'yes' })).toEqual(answer);
    expect(body).toBe('{"shown":"yes"}');
  });
});

describe('a page of the longest messages', () => {
  /** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
  const maxAnswerBytes = 6_291_556;
  const messages = contractOf({ response: z.array(z.object({ body: z.string() })), list: true });
  const answerTo = (body: string) => {
    const found = Array.from({ length: 101 }, () => ({ body }));
    const { items } = pageOf(found, { limit: 100 });
    const answer = respond(httpEvent(messages), { items, next: { before: 'x' } });
    return { items, answer };
  };
  const signs = [
    '"',
    '\\',
    '/',
    '\u0000',
    '\u0001',
    '\n',
    '\u007f',
    '\u2028',
    'a',
    'é',
    '犬',
    '😀',
    '\ufeff',
    '\ud7ff',
  ];
  const mixtures = ['"a', '"\\', '"犬', '\u0001"', '"""a', '\\n', '😀"'];

  it.each([...signs, ...mixtures])(
    'fits into the answer of a Lambda function, and arrives as it is: %j',
    (sign) => {
      const { items, answer } = answerTo(sign.repeat(Math.floor(16_000 / lengthOf(sign))));
      expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(maxAnswerBytes);
      const text = Buffer.from(answer.body ?? '', answer.isBase64Encoded ? 'base64' : 'utf8').toString();
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxPageBytes);
      expect(JSON.parse(text)).toEqual(items);
      // A shorter page than asked for is full.
      if (items.length < 100) {
        const next = Buffer.byteLength(JSON.stringify([...items, items[0]]));
        expect(next).toBeGreaterThan(maxPageBytes);
      }
    },
  );

  it.each(['"', '\\', 'a', 'é'])('has all hundred where they are no more than 4 MB of JSON: %j', (sign) => {
    expect(answerTo(sign.repeat(16_000)).items).toHaveLength(100);
  });

  it('fits for any text', { timeout: 60_000 }, () => {
    const unit = fc.constantFrom(...signs, ...mixtures);
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 20 }), (parts) => {
        const text = parts.join('');
        const { answer } = answerTo(text.repeat(Math.floor(16_000 / lengthOf(text))));
        expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(maxAnswerBytes);
      }),
      { numRuns: 4 },
    );
  });

  it('is text where that is short enough, which API Gateway passes on without decoding', () => {
    expect(answerTo('a'.repeat(16_000)).answer.isBase64Encoded).toBeUndefined();
  });
});

it('a route that leads to another one is answered 302 with its path', () => {
  const answer = respond(httpEvent(contractOf({ response: z.string(), redirectsTo: '/docs' })), 'unused');
  expect(answer).toMatchObject({ statusCode: 302, headers: { Location: '/docs' } });
  expect(answer.body).toBeUndefined();
});

it('an answer to another method has no ETag and ignores If-None-Match', () => {
  const event = httpEvent(contractOf({ method: 'PUT' }), { headers: { 'if-none-match': '*' } });
  const answer = respond(event, {});
  expect(answer).toMatchObject({ statusCode: 200, body: '{}' });
  expect(answer.headers).not.toHaveProperty('ETag');
});
