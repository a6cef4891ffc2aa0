import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import * as z from 'zod';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { limits } from '#lib/domain/limits.ts';
import {
  basic,
  Client,
  createApplication,
  createChat,
  createMessage,
  type Problem,
} from '../support/client.ts';
import { createUser } from '../support/servers.ts';

/* A request with several faults is refused for the first of them: 401, 400, 404 or 405, 403. */

const api = new Client(inject('apiUrl'));
const unknownToken = 'no-such-application';
let owner: Client;
let stranger: Client;
/** Holds a token that has ended. */
let ended: Client;
let token: string;
beforeAll(async () => {
  // A later token of a user who signed out: a route that forgets its generation would refuse it.
  const ada = await createUser('Ada');
  ended = ada.client;
  expect((await ended.call('DELETE', '/users/me/tokens')).status).toBe(200);
  const tokens = createAccessTokens([inject('functionEnvironment').JWT_SECRET ?? '']);
  const { accessToken } = await tokens.issue({ id: ada.id, name: ada.name, generation: 1 });
  owner = new Client(inject('apiUrl'), accessToken);
  ({ client: stranger } = await createUser('Eve'));
  await newPlace();
});

/** The application of the next requests, with a chat and a message. */
const newPlace = async () => {
  token = await createApplication(owner);
  await createMessage(owner, token, await createChat(owner, token), 'hello');
};

const fieldsOf = (schema: z.ZodType | undefined): string[] =>
  schema === undefined
    ? []
    : Object.keys(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }).properties ?? {});

/** One good value of each field. */
const good = (of: string): Record<string, unknown> => ({
  token: of,
  application_token: of,
  chatNumber: 1,
  chat_number: 1,
  messageNumber: 1,
  q: 'hello',
  name: 'A name',
  body: 'A body',
});

type Faults = { unknownParent?: true; badInput?: true; wrongType?: true };

const requestOf = ({ method, path, request }: RouteContract, faults: Faults) => {
  const values = good(faults.unknownParent ? unknownToken : token);
  const place = path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => String(values[name]));
  const query = new URLSearchParams(
    fieldsOf(request.query).flatMap((name): [string, string][] =>
      values[name] === undefined ? [] : [[name, String(values[name])]],
    ),
  );
  const body = Object.fromEntries(
    fieldsOf(request.body).flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  );
  if (faults.badInput) query.set('nope', '1');
  const type = faults.wrongType ? 'text/plain' : 'application/json';
  const sent =
    request.body === undefined ? {} : { raw: JSON.stringify(body), headers: { 'content-type': type } };
  return [method, `${place}?${query}`, sent] as const;
};

const statusOf = async (by: Client, contract: RouteContract, faults: Faults): Promise<number> => {
  const [method, path, sent] = requestOf(contract, faults);
  const reply = await by.call<Problem>(method, path, sent);
  if (reply.status !== 200) expect(reply.headers.get('content-type')).toBe('application/problem+json');
  return reply.status;
};

/** Deletions come last, and the item before its parent. */
const placeOf = ({ method, path }: RouteContract) => (method === 'DELETE' ? 1_000 - path.length : 0);
/** Signing out ends the tokens of this test: it has a test of its own. */
const withToken = Object.entries(routes)
  .filter(([name, { authentication }]) => authentication === 'bearer' && name !== 'signOut')
  .sort(([, one], [, other]) => placeOf(one) - placeOf(other));
const hasParent = (contract: RouteContract) =>
  ['path', 'query', 'body'].some((place) =>
    fieldsOf(contract.request[place as 'path']).some(
      (name) => name === 'token' || name === 'application_token',
    ),
  );

describe.each(withToken)('%s', (_name, contract) => {
  const hasBody = contract.request.body !== undefined;

  it('asks who calls before anything else', async () => {
    for (const faults of [{}, { badInput: true }, { unknownParent: true }, { wrongType: true }] as Faults[])
      expect([faults, await statusOf(api, contract, faults)]).toEqual([faults, 401]);
    const bad = new Client(inject('apiUrl'), 'bad');
    expect(await statusOf(bad, contract, { badInput: true, unknownParent: true, wrongType: true })).toBe(401);
  });

  it('refuses an access token that has ended before anything else', async () => {
    for (const faults of [{}, { badInput: true }, { unknownParent: true }, { wrongType: true }] as Faults[])
      expect([faults, await statusOf(ended, contract, faults)]).toEqual([faults, 401]);
  });

  it('names bad input before it looks for anything', async () => {
    for (const by of [owner, stranger]) {
      expect(await statusOf(by, contract, { badInput: true, unknownParent: true })).toBe(400);
      expect(await statusOf(by, contract, { badInput: true })).toBe(400);
    }
    if (hasBody)
      expect(await statusOf(stranger, contract, { wrongType: true, unknownParent: true })).toBe(415);
  });

  it('says that an item is missing before it says that it is of another', async () => {
    const expected = hasParent(contract) ? 404 : 200;
    expect(await statusOf(stranger, contract, { unknownParent: true })).toBe(expected);
  });

  it('refuses a stranger only where it changes an item, and never by a 404', async () => {
    const changes = contract.errors.includes('forbidden');
    expect(await statusOf(stranger, contract, {})).toBe(changes ? 403 : 200);
    expect(await statusOf(owner, contract, {})).toBe(200);
    if (contract.method === 'DELETE') await newPlace();
  });

  it('answers 405 to another method, whatever else is wrong, but asks who calls first', async () => {
    const [, path] = requestOf(contract, { badInput: true, unknownParent: true });
    expect((await owner.call('PATCH', path)).status).toBe(405);
    expect((await api.call('PATCH', path)).status).toBe(401);
  });

  it.runIf(hasBody)('names each bad field once, and at most twenty', async () => {
    const [method, path] = requestOf(contract, {});
    const unknown = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`unknown${at}`, at]));
    const bad = Object.fromEntries(fieldsOf(contract.request.body).map((name) => [name, { not: ['this'] }]));
    const paths = async (body: object, query = '') => {
      const reply = await owner.call<Problem>(method, `${path}${query}`, { body });
      expect(reply.status).toBe(400);
      return reply.body.errors?.map((error) => error.path) ?? [];
    };
    const many = await paths({ ...bad, ...unknown });
    expect(many).toHaveLength(limits.errors);
    expect(new Set(many).size).toBe(many.length);
    expect((await paths({ ...bad, unknown: 1 }, '&other=1&other=2')).sort()).toEqual(
      [...Object.keys(bad), 'unknown', 'other'].sort(),
    );
  });
});

it('signs out only who calls, and only without bad input', async () => {
  const { client } = await createUser('Leaving');
  const out = '/users/me/tokens';
  expect((await api.call('DELETE', `${out}?nope=1`)).status).toBe(401);
  expect((await client.call('DELETE', `${out}?nope=1`)).status).toBe(400);
  expect((await client.call('PATCH', out)).status).toBe(405);
  expect((await client.call('DELETE', out)).status).toBe(200);
  for (const [method, path] of [
    ['DELETE', out],
    ['DELETE', `${out}?nope=1`],
    ['PATCH', out],
    ['GET', `/applications/${unknownToken}`],
    ['GET', `/applications/${unknownToken}?nope=1`],
    ['GET', '/no/such/route'],
  ] as const)
    expect([path, (await client.call(method, path)).status]).toEqual([path, 401]);
});

it('asks for the password before it looks at the new one, and looks at that before it compares the old one', async () => {
  const user = { name: 'N', email: `${randomUUID()}@example.org`, password: 'correct horse' };
  expect((await api.post('/users', user)).status).toBe(200);
  const path = '/users/me/password';
  const right = basic(user);
  const wrong = basic({ ...user, password: 'a wrong one' });
  const good = { password: 'another horse' };
  for (const [headers, body, status] of [
    [{}, { password: 1 }, 401],
    [wrong, undefined, 400],
    [wrong, { password: 'short' }, 400],
    [wrong, { password: 'password' }, 400],
    [wrong, { password: user.email }, 400],
    [wrong, { ...good, more: 1 }, 400],
    [wrong, good, 401],
    [right, good, 200],
    [right, good, 401],
    [basic({ ...user, ...good }), good, 200],
  ] as const)
    expect([body, (await api.put(path, body, headers)).status]).toEqual([body, status]);
  const plain = { raw: '{}', headers: { ...right, 'content-type': 'text/plain' } };
  expect((await api.call('PUT', path, plain)).status).toBe(415);
});

it('asks for the password before it looks at the query of an erasure, and compares it afterwards', async () => {
  const user = { name: 'N', email: `${randomUUID()}@example.org`, password: 'correct horse' };
  expect((await api.post('/users', user)).status).toBe(200);
  const wrong = basic({ ...user, password: 'a wrong one' });
  for (const [path, headers, status] of [
    ['/users/me?nope=1', {}, 401],
    ['/users/me?nope=1', wrong, 400],
    ['/users/me', wrong, 401],
    ['/users/me', basic(user), 200],
    ['/users/me', basic(user), 401],
  ] as const)
    expect([path, (await api.call('DELETE', path, { headers })).status]).toEqual([path, status]);
});

it('looks at the input of a sign-up before it looks for the account', async () => {
  const user = { name: 'N', email: `${randomUUID()}@example.org`, password: 'correct horse' };
  expect((await api.post('/users', user)).status).toBe(200);
  for (const [change, status] of [
    [{ more: 1 }, 400],
    [{ password: 'password' }, 400],
    [{ name: '\u0301' }, 400],
    [{}, 409],
  ] as const)
    expect([change, (await api.post('/users', { ...user, ...change })).status]).toEqual([change, status]);
});
