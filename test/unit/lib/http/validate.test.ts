import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as z from 'zod';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { unknownRoute } from '#lib/contracts/http/system.ts';
import { routes } from '#lib/contracts/index.ts';
import type { FieldError } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { validate } from '#lib/http/validate.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

type Given = { path?: Record<string, string>; query?: Record<string, string>; body?: unknown };

const eventOf = (contract: RouteContract, { path, query, body }: Given) =>
  httpEvent(contract, {
    ...(path === undefined ? {} : { pathParameters: path }),
    ...(query === undefined ? {} : { queryStringParameters: query }),
    content: body,
  });
const inputOf = async (contract: RouteContract, given: Given) =>
  (await before(validate, eventOf(contract, given))).input;
const faultsOf = async (contract: RouteContract, given: Given): Promise<FieldError[]> =>
  inputOf(contract, given).then(
    () => [],
    (error) => error.fields,
  );
const routeOf = (name: string): RouteContract => {
  const contract = routes[name];
  if (contract === undefined) throw new Error(`No route ${name}`);
  return contract;
};

it('gives the fields of path, query and body in one object', async () => {
  const contract = contractOf({
    request: {
      path: z.strictObject({ a: z.string() }),
      query: z.strictObject({ b: z.string().default('2') }),
      body: z.strictObject({ c: z.number() }),
    },
  });
  expect(await inputOf(contract, { path: { a: '1' }, body: { c: 3 } })).toEqual({ a: '1', b: '2', c: 3 });
});

it.each([null, false, true, 0, 1, '', 'text', '{"title":"x"}', [], [{}], undefined])(
  'names body where it is %j, on every route with a body',
  async (body) => {
    for (const contract of Object.values(routes).filter(({ request }) => request.body !== undefined)) {
      const faults = await faultsOf(contract, {
        path: { token: 't', chatNumber: '1', messageNumber: '1' },
        body,
      });
      const named = faults.filter(({ path }) => !['token', 'chatNumber', 'messageNumber'].includes(path));
      expect(
        named.map(({ path }) => path),
        `${contract.method} ${contract.path}`,
      ).toEqual(['body']);
    }
  },
);

it('names each repeated query parameter, whose values API Gateway joins with commas', async () => {
  const search = routeOf('searchMessages');
  const pathParameters = { token: 't', chatNumber: '1' };
  const repeated = httpEvent(search, {
    pathParameters,
    rawQueryString: 'q=a&limit=10&q=b&limit=20&%71=c&highlight=true',
    queryStringParameters: { q: 'a,b,c', limit: '10,20', highlight: 'true' },
  });
  await expect(before(validate, repeated)).rejects.toMatchObject({
    fields: [
      { path: 'q', message: 'Must be given once' },
      { path: 'limit', message: 'Must be given once' },
    ],
  });
  const once = httpEvent(search, {
    pathParameters,
    rawQueryString: 'q=a,b%26q=c',
    queryStringParameters: { q: 'a,b&q=c' },
  });
  expect((await before(validate, once)).input).toMatchObject({ q: 'a,b&q=c' });
});

it('names each query parameter that is not percent-encoded UTF-8, in its name or its value', async () => {
  const anyQuery = contractOf({ request: { query: z.record(z.string(), z.string()) } });
  const faultsOfQuery = async (rawQueryString: string) => {
    const queryStringParameters = Object.fromEntries(new URLSearchParams(rawQueryString));
    const event = httpEvent(anyQuery, { rawQueryString, queryStringParameters });
    return before(validate, event).then(
      () => [],
      (error) => error.fields.map(({ path }: FieldError) => path),
    );
  };
  const malformed = ['%', '%z', '%zz', 'a%', '%ff', '%c3', '%ED%A0%80', '%c0%ae', '%DCbung'];
  for (const text of malformed) {
    expect(await faultsOfQuery(`a=1&b=${text}&c=2`), text).toEqual(['b']);
    expect(await faultsOfQuery(`a=1&${text}=1`), text).toHaveLength(1);
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
      expect(await faultsOfQuery(`a=${encodeURIComponent(text)}&b`)).toEqual([]);
      expect(await faultsOfQuery(new URLSearchParams({ text }).toString())).toEqual([]);
    }),
  );
});

it('shows an empty name in quotes, in a query and in a body', async () => {
  expect(await faultsOf(routeOf('listApplications'), { query: { '': '1' } })).toMatchObject([{ path: '""' }]);
  const body = { name: 'x', '': 1 };
  expect(await faultsOf(routeOf('createApplication'), { body })).toMatchObject([{ path: '""' }]);
});

it('takes any query on an unknown route', async () => {
  const event = httpEvent(unknownRoute, {
    pathParameters: { path: '/nowhere' },
    rawQueryString: 'a=1&a=2',
    queryStringParameters: { a: '1,2' },
  });
  expect((await before(validate, event)).input).toEqual({ path: '/nowhere' });
});

it('takes null for an optional field as if it were absent', async () => {
  const chat = { path: { token: 't' } };
  expect((await inputOf(routeOf('createChat'), { ...chat, body: { title: null } }))?.title).toBeUndefined();
  const message = { path: { token: 't', chatNumber: '1' }, body: { body: 'x', createdAt: null } };
  expect((await inputOf(routeOf('createMessage'), message))?.createdAt).toBeUndefined();
});

it('names a field once, however much is wrong with it', async () => {
  const createdAt = ['2024-05-01T12:00:00+25:00', '', 'yesterday', '1969-12-31T23:59:59Z', 7];
  for (const value of createdAt) {
    const path = { token: 't', chatNumber: '1' };
    const faults = await faultsOf(routeOf('createMessage'), { path, body: { body: 'x', createdAt: value } });
    expect(
      faults.map((fault) => fault.path),
      String(value),
    ).toEqual(['createdAt']);
  }
  const signUp = await faultsOf(routeOf('signUp'), { body: { name: '', email: '', password: '' } });
  expect(signUp.map(({ path }) => path).sort()).toEqual(['email', 'name', 'password']);
});

it('never blames a field for the fault of another', async () => {
  const bad = fc.constantFrom('abc', '0', '-1', '1.5', '', '101', '9'.repeat(30), 'NaN');
  const lists = ['listApplications', 'listChats', 'listMessages', 'searchMessages', 'searchByQuery'];
  const good = { q: 'x', application_token: 't', chat_number: '1', body: 'x' };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...lists), bad, async (name, limit) => {
      const contract = routeOf(name);
      const { properties = {} } = z.toJSONSchema(contract.request.query ?? z.object({}), {
        io: 'input',
        unrepresentable: 'any',
      });
      const query = Object.fromEntries(Object.entries(good).filter(([field]) => field in properties));
      const path = contract.request.path === undefined ? {} : { path: { token: 't', chatNumber: '1' } };
      const pathOfRoute = contract.path.includes('{chatNumber}') ? path : { path: { token: 't' } };
      const given = { ...(contract.request.path ? pathOfRoute : {}), query: { ...query, limit, page: '3' } };
      expect((await faultsOf(contract, given)).map((fault) => fault.path)).toEqual(['limit']);
    }),
  );
});

it('names at most twenty fields, each by a path of bounded length', async () => {
  const unknown = Object.fromEntries(
    Array.from({ length: 9_000 }, (_, at) => [`${at}-${'👋'.repeat(500)}`, at]),
  );
  const faults = await faultsOf(routeOf('createApplication'), { body: { name: 'x', ...unknown } });
  expect(faults).toHaveLength(limits.errors);
  for (const { path } of faults) expect([...path].length).toBe(limits.errorPath);
  expect(JSON.stringify(faults).length).toBeLessThan(10_000);
});

it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
  'refuses a field named %s as any unknown one, and takes nothing from it',
  async (name) => {
    const content = JSON.parse(`{"name":"x","${name}":{"isAdmin":true}}`);
    const faults = await faultsOf(routeOf('createApplication'), { body: content });
    expect(faults.map(({ path }) => path)).toEqual([name]);
    const inherited = JSON.parse('{"__proto__":{"name":"inherited"}}');
    expect(
      (await faultsOf(routeOf('createApplication'), { body: inherited })).map(({ path }) => path).sort(),
    ).toEqual(['__proto__', 'name']);
    expect({}).not.toHaveProperty('isAdmin');
  },
);
