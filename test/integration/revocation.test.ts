import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { createPasswordCheck } from '#lib/reading/password-check.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { apiEvent } from '../support/http-event.ts';
import { eventually, type System, startSystem } from '../support/own-system.ts';

/* Signed out is out: each interleaving and each fault, on servers of this file, with the functions in this process. */

type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
type Account = { id: number; email: string; password: string };
type Call = {
  authorization: string;
  path?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
  headers?: Record<string, string>;
};

const folder = '../../functions/http';
const files: Record<string, string> = {
  createToken: 'users/create-token',
  changePassword: 'users/change-password',
  signOut: 'users/sign-out',
  getUser: 'users/get-user',
  createApplication: 'applications/create-application',
  updateApplication: 'applications/update-application',
  listApplications: 'applications/list-applications',
  getApplication: 'applications/get-application',
  createChat: 'chats/create-chat',
  listChats: 'chats/list-chats',
  getChat: 'chats/get-chat',
  createMessage: 'messages/create-message',
  updateMessage: 'messages/update-message',
  listMessages: 'messages/list-messages',
  getMessage: 'messages/get-message',
  listChanges: 'changes/list-changes',
  listChatChanges: 'changes/list-chat-changes',
};
const old = 'the old password of this user';
const bearer = (accessToken: string) => `Bearer ${accessToken}`;
const basic = ({ email, password }: Pick<Account, 'email' | 'password'>) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;

let system: System;
let stopConsuming: (() => Promise<void>) | undefined;
let token: string;
let chatNumber: number;
let oldHash: string;

beforeAll(async () => {
  system = await startSystem('revocation', {
    only: ['mysql', 'redis', 'rabbitmq'],
    environment: { LIMIT_SIGN_IN: '0', LIMIT_BAD_TOKENS: '0' },
  });
  stopConsuming = await system.consume();
  oldHash = await system.services.passwords().hash(old);
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
  await system.accept.message(token, chatNumber);
}, 120_000);
afterAll(async () => {
  await stopConsuming?.();
  await system?.stop();
});
/** Every test ends with all servers up and the gate open. */
afterEach(async () => {
  for (const name of ['mysql', 'redis', 'rabbitmq'] as const)
    await system
      .service(name)
      .start()
      .catch(() => undefined);
  await recovered();
}, 60_000);

const contractOf = (name: string): RouteContract =>
  Object.values(routes).find((route) => route.function === name) ?? expect.unreachable();

const call = async (name: string, { authorization, path, query, body, headers }: Call) => {
  const { handler }: { handler: Handler } = await import(`${folder}/${files[name]}.ts`);
  const event = apiEvent(contractOf(name), {
    headers: {
      authorization,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(path === undefined ? {} : { pathParameters: path }),
    ...(query === undefined
      ? {}
      : { queryStringParameters: query, rawQueryString: `${new URLSearchParams(query)}` }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await handler(event, createLambdaContext(name, 60_000));
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(answer.body ?? 'null') };
};

/** A user whose password is `old`, and an access token of this user. */
const addUser = async (): Promise<Account & { accessToken: string }> => {
  const email = parseEmailAddress(`${randomUUID()}@example.org`) ?? expect.unreachable();
  await system.services.users().create(
    {
      name: 'Ada',
      email,
      passwordHash: oldHash,
      signUpKey: randomUUID(),
      signUpRequest: '-',
      nowMs: Date.now(),
    },
    async () => false,
  );
  const user = (await system.services.users().findByEmail(email)) ?? expect.unreachable();
  const { accessToken } = await system.services.accessTokens().issue(user);
  return { id: user.id, email, password: old, accessToken };
};
const read = async (accessToken: string) =>
  (await call('listApplications', { authorization: bearer(accessToken) })).status;
const readChat = async (accessToken: string) => {
  const path = { token, chatNumber: String(chatNumber) };
  return (await call('listMessages', { authorization: bearer(accessToken), path })).status;
};
const write = async (accessToken: string, headers?: Record<string, string>) =>
  (
    await call('createMessage', {
      authorization: bearer(accessToken),
      path: { token, chatNumber: String(chatNumber) },
      body: { body: 'a message' },
      ...(headers === undefined ? {} : { headers }),
    })
  ).status;
const signOut = async (accessToken: string) =>
  (await call('signOut', { authorization: bearer(accessToken) })).status;
const signIn = async (account: Account): Promise<string> => {
  const answer = await call('createToken', { authorization: basic(account) });
  expect(answer.status).toBe(200);
  return answer.body.accessToken;
};
const recovered = () =>
  eventually(async () => {
    expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' });
  });
const inRedis = async <Result>(work: (redis: Redis) => Promise<Result>): Promise<Result> => {
  const redis = new Redis(system.stack.urls.REDIS_URL, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};
/** The generation of a user in Redis. */
const generationOf = (id: number) => inRedis((redis) => redis.get(system.services.keys().generation(id)));

describe('signing out', { timeout: 60_000 }, () => {
  const item = () => ({ token, chatNumber: String(chatNumber), messageNumber: '1' });
  const calls: Record<string, () => Omit<Call, 'authorization'>> = {
    getUser: () => ({}),
    createApplication: () => ({ body: { name: 'n' } }),
    updateApplication: () => ({ path: { token }, body: { name: 'n' } }),
    listApplications: () => ({}),
    getApplication: () => ({ path: { token } }),
    createChat: () => ({ path: { token } }),
    listChats: () => ({ path: { token } }),
    getChat: () => ({ path: { token, chatNumber: String(chatNumber) } }),
    createMessage: () => ({ path: { token, chatNumber: String(chatNumber) }, body: { body: 'b' } }),
    updateMessage: () => ({ path: item(), body: { body: 'b' } }),
    listMessages: () => ({ path: { token, chatNumber: String(chatNumber) } }),
    getMessage: () => ({ path: item() }),
    listChanges: () => ({ path: { token } }),
    listChatChanges: () => ({ path: { token, chatNumber: String(chatNumber) } }),
    signOut: () => ({}),
  };

  test('ends every token of the user on every route, also one that this process knows', async () => {
    const { accessToken, ...account } = await addUser();
    const second = await signIn(account);
    for (const one of [accessToken, second]) expect(await read(one)).toBe(200);
    expect(await signOut(accessToken)).toBe(200);
    for (const [name, more] of Object.entries(calls)) {
      const answer = await call(name, { authorization: bearer(second), ...more() });
      expect([name, answer.status]).toEqual([name, 401]);
      expect(answer.headers?.['WWW-Authenticate']).toContain('error="invalid_token"');
    }
    expect(await read(accessToken)).toBe(401);
    const later = await signIn(account);
    expect([await read(later), await write(later), await read(second)]).toEqual([200, 200, 401]);
  });

  test('leaves other users alone', async () => {
    const [one, other] = [await addUser(), await addUser()];
    expect(await signOut(one.accessToken)).toBe(200);
    expect([await read(other.accessToken), await write(other.accessToken)]).toEqual([200, 200]);
  });

  test('ends no sign-in of later: two requests with one token count once', async () => {
    const { accessToken, ...account } = await addUser();
    const { id, generation } = await system.services.accessTokens().verify(accessToken);
    expect(await signOut(accessToken)).toBe(200);
    const later = await signIn(account);
    // The second request had passed its check before the first one ended the token.
    await system.services.revoke()({
      id,
      generation: await system.services.users().endTokens({ id, generation }),
    });
    expect([await read(later), await read(accessToken)]).toEqual([200, 401]);
  });

  test('refuses a repetition with its Idempotency-Key', async () => {
    const { accessToken } = await addUser();
    const headers = { 'idempotency-key': randomUUID() };
    expect(await write(accessToken, headers)).toBe(200);
    expect(await signOut(accessToken)).toBe(200);
    expect(await write(accessToken, headers)).toBe(401);
  });

  test.each([
    ['a bad body', 'createMessage', { body: { body: 7 } }],
    ['a time too far ahead', 'createMessage', { body: { body: 'b', createdAt: '2999-01-01T00:00:00Z' } }],
    ['a bad query', 'listMessages', { query: { limit: '0' } }],
    ['a bad cursor', 'listMessages', { query: { before: 'x' } }],
    ['an unknown field', 'signOut', { query: { x: '1' } }],
  ])('comes before the refusal of %s', async (_what, name, more) => {
    const { accessToken } = await addUser();
    const ask = () =>
      call(name, {
        authorization: bearer(accessToken),
        path: name === 'signOut' ? {} : { token, chatNumber: String(chatNumber) },
        ...more,
      });
    expect((await ask()).status).toBe(400);
    expect(await signOut(accessToken)).toBe(200);
    expect((await ask()).status).toBe(401);
  });
});

describe('a new password', { timeout: 120_000 }, () => {
  const change = (account: Account, password: string) =>
    call('changePassword', { authorization: basic(account), body: { password } });

  test('ends every token and the old password, and signs in', async () => {
    const account = await addUser();
    const { status, body } = await change(account, 'the new password');
    expect([status, body]).toEqual([200, {}]);
    expect([await read(account.accessToken), await write(account.accessToken)]).toEqual([401, 401]);
    expect((await call('createToken', { authorization: basic(account) })).status).toBe(401);
    expect(await read(await signIn({ ...account, password: 'the new password' }))).toBe(200);
  });

  test('ends the token of a sign-in that had read the old one', async () => {
    const account = await addUser();
    const { createToken } = await import('../../functions/http/users/create-token.ts');
    const { services } = system;
    const { accessToken } = await createToken(
      { credentials: { user: account.email, password: old }, clientAddress: '192.0.2.1' },
      {
        accessTokens: services.accessTokens(),
        passwordCheck: createPasswordCheck({
          users: services.users(),
          signInAttempts: services.signInAttempts(),
          passwords: {
            // The old hash is in hand; the password changes before the token is issued.
            verify: async (password, hash) => {
              expect((await change(account, 'the new password')).status).toBe(200);
              return services.passwords().verify(password, hash);
            },
          },
        }),
      },
    );
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
  });

  test('is one of two at once', async () => {
    const account = await addUser();
    const answers = await Promise.all([change(account, 'the first one'), change(account, 'the other one')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    const password = answers[0]?.status === 200 ? 'the first one' : 'the other one';
    expect(await read(await signIn({ ...account, password }))).toBe(200);
  });

  test('is written once, though its statement runs twice', async () => {
    const { email } = await addUser();
    const user = await system.services.users().findByEmail(parseEmailAddress(email) ?? expect.unreachable());
    if (user === undefined) throw new Error('No user');
    const hash = 'a hash with a salt of its own';
    const first = await system.services.users().changePassword(user, hash);
    expect(await system.services.users().changePassword(user, hash)).toBe(first);
    expect(await system.services.users().changePassword(user, 'another hash')).toBeUndefined();
  });

  test('shares the counters of sign-in, and counts no refused body', async () => {
    const account = await addUser();
    const wrong = { ...account, password: 'a wrong password' };
    for (const body of [
      undefined,
      {},
      { password: 'short' },
      { password: 'password' },
      { password: old, x: 1 },
    ])
      for (let i = 0; i < 3; i += 1) {
        const answer = await call('changePassword', { authorization: basic(wrong), body });
        expect(answer.status).toBe(400);
      }
    expect((await change(account, old)).status).toBe(200);
    for (let i = 0; i < 5; i += 1) expect((await change(wrong, old)).status).toBe(401);
    expect((await change(account, old)).status).toBe(429);
    expect((await call('createToken', { authorization: basic(account) })).status).toBe(429);
  });
});

describe('without Redis', { timeout: 60_000 }, () => {
  test('signing out fails, but has ended the tokens wherever somebody can tell', async () => {
    const { accessToken, id } = await addUser();
    expect(await read(accessToken)).toBe(200);
    await system.service('redis').stop();
    expect(await signOut(accessToken)).toBe(503);
    expect([await read(accessToken), await readChat(accessToken), await write(accessToken)]).toEqual([
      401, 401, 401,
    ]);
    await system.service('redis').start();
    // The gate is closed: Redis' silence is no proof.
    expect(await generationOf(id)).toBeNull();
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
    await recovered();
    expect(await generationOf(id)).toBe('1');
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
  });

  test('tokens that have not ended go on reading', async () => {
    const { accessToken } = await addUser();
    await system.service('redis').stop();
    expect([await read(accessToken), await write(accessToken)]).toEqual([200, 503]);
  });
});

describe('when Redis has lost its data', { timeout: 60_000 }, () => {
  test('nobody believes its silence, and the opening of the gate repairs it', async () => {
    const { accessToken, ...account } = await addUser();
    const later = await signIn(account);
    expect(await signOut(later)).toBe(200);
    const present = await signIn(account);
    await inRedis((redis) => redis.flushall());
    expect([await read(accessToken), await write(accessToken), await read(present)]).toEqual([401, 401, 200]);
    await recovered();
    expect(await generationOf(account.id)).toBe('1');
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
    expect([await read(present), await write(present)]).toEqual([200, 200]);
  });

  test('signing out fails until the gate opens, and ends the tokens all the same', async () => {
    const { accessToken } = await addUser();
    await inRedis((redis) => redis.flushall());
    const status = await signOut(accessToken);
    // The recovery may be quicker than this request.
    expect([200, 503]).toContain(status);
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
    await recovered();
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
  });

  test('a token that ends while the gate opens stays ended', async () => {
    await stopConsuming?.();
    const { accessToken, id } = await addUser();
    await inRedis((redis) => redis.flushall());
    // Without consumers its barriers wait.
    const recovery = system.invoke('recoverCounters', {}, 30_000);
    expect(await signOut(accessToken)).toBe(503);
    // As if the script of this request had gone to a primary that was replaced.
    await inRedis((redis) => redis.del(system.services.keys().generation(id)));
    expect(await read(accessToken)).toBe(401);
    stopConsuming = await system.consume();
    expect(await recovery).toMatchObject({ gate: 'open' });
    expect(await generationOf(id)).toBe('1');
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
  });
});

describe('without MySQL', { timeout: 60_000 }, () => {
  test('Redis tells, and signing out fails without an effect', async () => {
    const [one, other] = [await addUser(), await addUser()];
    expect(await signOut(one.accessToken)).toBe(200);
    await readChat(other.accessToken);
    await system.service('mysql').stop();
    expect([await readChat(one.accessToken), await write(one.accessToken)]).toEqual([401, 401]);
    expect([await readChat(other.accessToken), await write(other.accessToken)]).toEqual([200, 200]);
    expect(await signOut(other.accessToken)).toBe(503);
    await system.service('mysql').start();
    expect(await read(other.accessToken)).toBe(200);
  });

  test('and with a closed gate, or without Redis, nobody can tell: 503 on every route', async () => {
    const [one, other] = [await addUser(), await addUser()];
    expect(await signOut(one.accessToken)).toBe(200);
    await readChat(other.accessToken);
    await system.service('mysql').stop();
    const bad = () =>
      call('createMessage', {
        authorization: bearer(other.accessToken),
        path: { token, chatNumber: String(chatNumber) },
        body: { body: 7 },
      });
    const never = async () => {
      for (const { accessToken } of [one, other]) {
        expect(await readChat(accessToken)).not.toBe(200);
        expect(await write(accessToken)).not.toBe(200);
      }
      expect([await readChat(other.accessToken), await write(other.accessToken)]).toEqual([503, 503]);
      expect((await bad()).status).toBe(503);
    };
    await inRedis(async (redis) => redis.hdel(system.services.keys().state, ...(await runs(redis))));
    await never();
    await system.service('redis').stop();
    await never();
  });

  const runs = async (redis: Redis): Promise<string[]> =>
    (await redis.hkeys(system.services.keys().state)).filter((field) => field.startsWith('run:'));
});

describe('the repair', () => {
  test('each minute ends tokens in Redis whose caller died between the two writes', async () => {
    const { accessToken, id } = await addUser();
    await system.services.users().endTokens({ id, generation: 0 });
    // Nobody has answered 200 for this yet.
    expect(await read(accessToken)).toBe(200);
    await system.invoke('recoverCounters');
    expect([await read(accessToken), await write(accessToken)]).toEqual([401, 401]);
  });

  test('leaves out users whose last tokens have expired', async () => {
    const { id } = await addUser();
    await system.services.users().endTokens({ id, generation: 0 });
    await system.services
      .database()
      .write('UPDATE users SET generation_at = generation_at - INTERVAL 2 HOUR WHERE id = ?', [id]);
    await system.invoke('recoverCounters');
    expect(await generationOf(id)).toBeNull();
  });

  test('reads every user once, however many rose at one moment', async () => {
    const ids: number[] = [];
    for (let i = 0; i < 5; i += 1) ids.push((await addUser()).id);
    await system.services
      .database()
      .write(
        'UPDATE users SET token_generation = 1, generation_at = UTC_TIMESTAMP(3) WHERE id BETWEEN ? AND ?',
        [Math.min(...ids), Math.max(...ids)],
      );
    const found: number[] = [];
    const users = system.services.users();
    for (let last = (await users.findRaised(60, 2))[0]; last !== undefined; ) {
      found.push(last.id);
      const page = await users.findRaised(60, 2, last);
      found.push(...page.slice(0, -1).map(({ id }) => id));
      last = page.at(-1);
    }
    expect(found.filter((id) => ids.includes(id))).toEqual(ids);
  });
});

test('generations only rise in Redis, so two revocations may cross', async () => {
  const generations = system.services.generations();
  const { id } = await addUser();
  expect(await generations.raise([{ id, generation: 2 }])).toEqual({ gate: 'open', ended: [] });
  expect(await generations.raise([{ id, generation: 1 }])).toEqual({ gate: 'open', ended: [] });
  expect(await generations.read(id)).toEqual({ present: 2, isCertain: true });
  const seconds = await inRedis((redis) => redis.ttl(system.services.keys().generation(id)));
  expect(seconds).toBeGreaterThan(3_600);
  expect(seconds).toBeLessThanOrEqual(4_200);
});

test('50 readers and writers: none succeeds after the 200, while Redis is killed and wiped', {
  timeout: 120_000,
}, async () => {
  const users = await Promise.all(Array.from({ length: 10 }, addUser));
  const outAtMs = new Map<number, number>();
  const wrong: string[] = [];
  let isOver = false;
  const use = async ({ id, accessToken }: Account & { accessToken: string }, worker: number) => {
    const work = worker % 3 === 0 ? write : worker % 3 === 1 ? readChat : read;
    while (!isOver) {
      const out = outAtMs.has(id);
      if ((await work(accessToken)) === 200 && out) wrong.push(`user ${id}, worker ${worker}`);
      await new Promise(setImmediate);
    }
  };
  const workers = users.flatMap((user) => Array.from({ length: 5 }, (_, worker) => use(user, worker)));
  const out = async ({ id, accessToken }: Account & { accessToken: string }) => {
    const status = await signOut(accessToken);
    if (status === 200) outAtMs.set(id, Date.now());
    return status;
  };
  for (const [turn, user] of users.entries()) {
    if (turn === 3) await inRedis((redis) => redis.flushall());
    if (turn === 6) {
      await system.service('redis').kill('SIGKILL');
      await system.service('redis').stop();
      await system.service('redis').start();
    }
    await eventually(async () => expect([200, 401]).toContain(await out(user)), 30_000);
  }
  await recovered();
  for (const { accessToken } of users) expect(await read(accessToken)).toBe(401);
  isOver = true;
  await Promise.all(workers);
  expect(wrong).toEqual([]);
  expect(outAtMs.size).toBeGreaterThan(0);
});
