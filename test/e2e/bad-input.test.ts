import { beforeAll, describe, expect, inject, it } from 'vitest';
import * as z from 'zod';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { limits } from '#lib/domain/limits.ts';
import {
  Client,
  createApplication,
  createChat,
  createMessage,
  type Problem,
  type Reply,
} from '../support/client.ts';
import { createUser } from '../support/servers.ts';

/** One good value of a field, and bad ones. Each field of each contract has to be here. */
type Samples = { good: unknown; bad: unknown[] };
type Place = 'path' | 'query' | 'body';

const notTextOrNull = [1, true, ['text'], { text: 'text' }];
const notText = [null, ...notTextOrNull];
/** Invisible names, and names that change the display of the text around them. */
const notNames = [
  ...[
    '',
    '  ',
    '\n',
    '\u200b',
    '\u2800\u3164\u115f\uffa0',
    '\u0301',
    ' \u20dd',
    '\ue000',
    '\u{f0000}',
    '\u0378',
  ],
  ...['\u{e0041}', '\ufe0f', '\u{e0100}', '\ufffc', '\u200e\u061c', '\ufdd0'],
  ...['Ada\u202egnp', 'a\u2066b', 'a\u0000b', 'a\u2028b', 'Ada\tLovelace', 'Ada\n', '\u0085Ada', '\u007fAda'],
];
const notNumberInUrl = [
  '0',
  '-1',
  '1.5',
  '01',
  '1e3',
  '0x1',
  'one',
  '١',
  ' 1',
  '9'.repeat(30),
  'NaN',
  'null',
];
const page = { good: '1', bad: ['', ...notNumberInUrl] };
const limit = { good: '10', bad: ['', '101', ...notNumberInUrl] };
const searched = { good: 'word', bad: ['', ' ', 'x'.repeat(201)] };
const instantInUrl = {
  good: '2024-05-01T12:00:00Z',
  bad: ['', 'yesterday', '2024-05-01', '2024-05-01T12:00:00', '2024-02-30T12:00:00Z', '1714564800000'],
};
const numberInUrl = { good: '1', bad: [...notNumberInUrl, '4294967296'] };
const tokenInUrl = { good: '', bad: ['a.b', 'a b', 'a:1', 'x'.repeat(65), 'ä', "'", '{token}'] };
const loneSurrogate = 'a\ud800b';

const samples: Record<Place, Record<string, Samples>> = {
  path: {
    token: tokenInUrl,
    chatNumber: numberInUrl,
    messageNumber: numberInUrl,
  },
  query: {
    page,
    limit,
    q: searched,
    body: searched,
    application_token: { ...tokenInUrl, bad: ['', ...tokenInUrl.bad] },
    chat_number: { ...numberInUrl, bad: ['', ...numberInUrl.bad] },
    before: { good: undefined, bad: ['', 'no-cursor', 'x'.repeat(201)] },
    after: { good: undefined, bad: ['', 'no-cursor', 'x'.repeat(201)] },
    sender: { good: 'nobody', bad: ['', 'x'.repeat(101)] },
    from: instantInUrl,
    to: instantInUrl,
    sort: { good: 'newest', bad: ['', 'oldest', 'Best'] },
    highlight: { good: 'true', bad: ['', 'yes', 'TRUE'] },
    upTo: { ...numberInUrl, bad: ['', ...numberInUrl.bad] },
    since: { good: '0', bad: ['', '-1', '1.5', '1e3', '0x1', 'x', '9007199254740992', '1'.repeat(17)] },
  },
  body: {
    name: {
      good: '👋'.repeat(100),
      bad: [...notText, ...notNames, '👋'.repeat(101), `${' '.repeat(100)}a`, loneSurrogate],
    },
    title: {
      good: '👋'.repeat(200),
      bad: [...notTextOrNull, ...notNames, '👋'.repeat(201), `a${' '.repeat(200)}`, loneSurrogate],
    },
    body: { good: 'A message', bad: [...notText, '', '👋'.repeat(16_001), loneSurrogate] },
    token: { good: '', bad: [...notText, '', ...tokenInUrl.bad] },
    messageNumber: { good: 1, bad: [null, '1', true, [1], 0, -1, 1.5, 1e30, 4_294_967_296] },
    email: {
      good: 'ada@example.org',
      bad: [
        ...notText,
        '',
        'ada',
        'ada@',
        '@example.org',
        'a b@example.org',
        `${'x'.repeat(250)}@example.org`,
      ],
    },
    password: {
      good: 'correct horse',
      bad: [...notText, '', 'short', 'x'.repeat(8), '\u2800'.repeat(8), 'xy'.repeat(65), loneSurrogate],
    },
    createdAt: {
      good: '2024-05-01T12:00:00Z',
      bad: [
        1_714_564_800_000,
        '',
        'yesterday',
        '2024-05-01',
        '2024-05-01T12:00:00',
        '2024-02-30T12:00:00Z',
        '2024-05-01T25:00:00Z',
        '2024-05-01T12:00:00+25:00',
        '2024-05-01 12:00:00+1',
        '2024-05-01T12:00:00 01:00',
        '2024-05-01T12:00:60Z',
        '1969-12-31T23:59:59Z',
        '9999-12-31T23:59:59Z',
        '+275760-09-13T00:00:00Z',
      ],
    },
  },
};

let client: Client;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  const token = await createApplication(client);
  await createChat(client, token);
  await createMessage(client, token, 1, 'hello');
  for (const [place, name] of [
    ['path', 'token'],
    ['query', 'application_token'],
    ['body', 'token'],
  ] as const) {
    const sample = samples[place][name];
    if (sample !== undefined) sample.good = token;
  }
});

const fieldsOf = (schema: z.ZodType | undefined): { names: string[]; required: string[] } => {
  if (schema === undefined) return { names: [], required: [] };
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return { names: Object.keys(json.properties ?? {}), required: json.required ?? [] };
};

const samplesOf = (place: Place, name: string): Samples => {
  const found = samples[place][name];
  if (found === undefined) throw new Error(`Add samples of the ${place} field "${name}" to this test`);
  return found;
};

type Values = Record<string, unknown>;

/** A search needs words or a sender, which a schema of fields cannot say. */
const isNeeded = (name: string, required: readonly string[]) => name === 'q' || required.includes(name);

/** A valid request of a route, with all its fields. */
const goodRequest = ({ request }: RouteContract): Record<Place, Values> => {
  const good = (place: Place, all: boolean): Values => {
    const { names, required } = fieldsOf(request[place]);
    return Object.fromEntries(
      names
        .filter((name) => all || isNeeded(name, required))
        .map((name) => [name, samplesOf(place, name).good]),
    );
  };
  return { path: good('path', true), query: good('query', false), body: good('body', true) };
};

/** `raw`: a body to send as it is. */
type Sent = { raw?: string | Uint8Array<ArrayBuffer>; contentType?: string; query?: string; by?: Client };

const send = (
  contract: RouteContract,
  values: Record<Place, Values>,
  sent: Sent = {},
): Promise<Reply<Problem>> => {
  const path = contract.path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) =>
    encodeURIComponent(String(values.path[name])),
  );
  const query =
    sent.query ??
    new URLSearchParams(
      Object.entries(values.query).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] as [string, string]],
      ),
    ).toString();
  const hasBody = contract.request.body !== undefined || sent.raw !== undefined;
  return (sent.by ?? client).call<Problem>(contract.method, `${path}${query === '' ? '' : `?${query}`}`, {
    ...(hasBody ? { raw: sent.raw ?? JSON.stringify(values.body) } : {}),
    headers: hasBody ? { 'content-type': sent.contentType ?? 'application/json' } : {},
  });
};

const expectProblem = (what: string, reply: Reply<Problem>, status: number, path?: string) => {
  expect(`${what}: ${reply.status}`, reply.text).toBe(`${what}: ${status}`);
  expect(reply.headers.get('content-type'), what).toBe('application/problem+json');
  expect(reply.body, what).toMatchObject({
    type: 'about:blank',
    title: expect.any(String),
    status,
    detail: expect.any(String),
  });
  if (path === undefined) return;
  // The error names only this field, and names it once.
  expect(
    reply.body.errors?.map((error) => error.path),
    what,
  ).toEqual([path]);
};

const replaced = (values: Record<Place, Values>, place: Place, name: string, value: unknown) => ({
  ...values,
  [place]: { ...values[place], [name]: value },
});

const withBasic = Object.values(routes).filter(({ authentication }) => authentication !== 'basic');

/** A test of those routes to which it applies. */
const itIf = (applies: boolean) => (applies ? it : (_name: string, _test: () => Promise<void>) => undefined);

describe.each(withBasic.map((contract) => [`${contract.method} ${contract.path}`, contract] as const))(
  '%s',
  (_route, contract) => {
    const places = (['path', 'query', 'body'] as const).flatMap((place) =>
      fieldsOf(contract.request[place]).names.map((name) => [place, name] as const),
    );
    const required = (['query', 'body'] as const).flatMap((place) =>
      fieldsOf(contract.request[place]).required.map((name) => [place, name] as const),
    );

    itIf(places.length > 0)('names each field that is malformed, too long or out of bounds', async () => {
      const values = goodRequest(contract);
      await Promise.all(
        places.flatMap(([place, name]) =>
          samplesOf(place, name).bad.map(async (bad) => {
            const what = `${place} ${name} ${JSON.stringify(bad)?.slice(0, 50)}`;
            expectProblem(what, await send(contract, replaced(values, place, name, bad)), 400, name);
          }),
        ),
      );
    });

    itIf(required.length > 0)('names each field that is missing', async () => {
      const values = goodRequest(contract);
      for (const [place, name] of required) {
        const reply = await send(contract, replaced(values, place, name, undefined));
        expectProblem(`without ${name}`, reply, 400, name);
      }
    });

    it('names a field that it does not know', async () => {
      const values = goodRequest(contract);
      expectProblem('query', await send(contract, replaced(values, 'query', 'nope', '1')), 400, 'nope');
      if (contract.request.body === undefined) return;
      expectProblem('body', await send(contract, replaced(values, 'body', 'nope', 1)), 400, 'nope');
      const raw = JSON.stringify(values.body).replace('{', '{"__proto__":{"isAdmin":true},');
      expectProblem('__proto__', await send(contract, values, { raw }), 400, '__proto__');
    });

    itIf(contract.path !== '/')('takes a trailing slash', async () => {
      const values = replaced(goodRequest(contract), 'query', 'nope', '1');
      const reply = await send({ ...contract, path: `${contract.path}/` }, values);
      expectProblem('with a slash', reply, 400, 'nope');
    });

    const { query } = contract.request;
    itIf(query !== undefined)('does not guess which of two values of a field is meant', async () => {
      const values = goodRequest(contract);
      const text = new URLSearchParams({ ...values.query, limit: '10' } as Record<string, string>).toString();
      expectProblem('twice', await send(contract, values, { query: `${text}&limit=20` }), 400, 'limit');
    });

    const body = contract.request.body;
    itIf(body !== undefined)(
      'takes a body only if it is a JSON object in UTF-8, within the limit',
      async () => {
        const values = goodRequest(contract);
        const attempt = (sent: Sent) => send(contract, values, sent);
        const scalars = ['null', 'true', 'false', '0', '1', '""', '"text"', JSON.stringify('{"name":"x"}')];
        for (const raw of ['{', '{"name": }', '[]', ...scalars, `${JSON.stringify(values.body)}x`]) {
          expectProblem(raw, await attempt({ raw }), 400, 'body');
        }
        expectProblem('no UTF-8', await attempt({ raw: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d) }), 400, 'body');
        if (contract.request.bodyOptional !== true) {
          expectProblem('nothing', await attempt({ raw: '' }), 400, 'body');
        }
        for (const contentType of [
          'text/plain',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
          'application/json; charset=utf-16',
          'application/jsonp',
          'application/xml',
        ]) {
          expectProblem(contentType, await attempt({ contentType }), 415);
        }
        const tooLong = `${JSON.stringify(values.body)}${' '.repeat(limits.requestBytes)}`;
        expectProblem('too long', await attempt({ raw: tooLong }), 413);
      },
    );

    const { authentication } = contract;
    itIf(authentication === 'bearer')('asks who calls before it looks at anything else', async () => {
      const values = goodRequest(contract);
      const reply = await send(contract, values, { by: new Client(inject('apiUrl')) });
      expectProblem('nobody', reply, 401);
      expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="chat"');
    });

    itIf(contract.creates === true)('takes 1 to 200 visible characters for an Idempotency-Key', async () => {
      const values = goodRequest(contract);
      const path = contract.path.replace('{token}', String(values.path.token)).replace('{chatNumber}', '1');
      for (const key of ['', 'two words', 'tab\tbed', 'x'.repeat(201)]) {
        const sent = contract.request.body === undefined ? {} : { body: values.body };
        const headers = { 'idempotency-key': key };
        const reply = await client.call<Problem>(contract.method, path, { ...sent, headers });
        expectProblem(`key "${key}"`, reply, 400, 'Idempotency-Key');
      }
    });

    const unknown = {
      path: {
        token: ['no-such-application'],
        chatNumber: ['9999', '4294967295'],
        messageNumber: ['9999', '4294967295'],
      },
      query: { application_token: ['no-such-application'], chat_number: ['9999', '4294967295'] },
      body: { token: ['no-such-application'], messageNumber: [9999, 4_294_967_295] },
    } as Record<Place, Record<string, unknown[]>>;
    const known = places.filter(([place, name]) => unknown[place][name] !== undefined);
    itIf(known.length > 0)('answers 404 for what is not there', async () => {
      const values = goodRequest(contract);
      for (const [place, name] of known) {
        for (const value of unknown[place][name] ?? []) {
          const reply = await send(contract, replaced(values, place, name, value));
          expectProblem(`${name} ${value}`, reply, 404);
        }
      }
    });
  },
);

it('takes null for an optional field as if it were absent', async () => {
  const token = samplesOf('path', 'token').good;
  const chat = await client.post<{ chatNumber: number }>(`/applications/${token}/chats`, { title: null });
  expect(chat.status).toBe(200);
  const path = `/applications/${token}/chats/${chat.body.chatNumber}`;
  expect((await client.post(`${path}/messages`, { body: 'x', createdAt: null })).status).toBe(200);
  expect((await client.get(path)).body).not.toHaveProperty('title');
});

it('names every bad field at once', async () => {
  const reply = await client.post<Problem>('/users', { name: '', email: 'ada', password: 'x', more: 1 });
  expectProblem('all', reply, 400);
  expect(new Set(reply.body.errors?.map(({ path }) => path))).toEqual(
    new Set(['name', 'email', 'password', 'more']),
  );
});

it('bounds the cost of page=N, and names the bound', async () => {
  const token = samplesOf('path', 'token').good;
  for (const path of [
    '/applications?page=1002&limit=100',
    `/applications/${token}/chats/1/messages?page=1002&limit=100`,
    `/applications/${token}/chats/1/messages/search?q=hello&page=102&limit=100`,
  ]) {
    expectProblem(path, await client.get<Problem>(path), 400, 'page');
  }
});
