import { createHmac, randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { deriveKey } from '#lib/auth/keys.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { openStores, type Stores } from '../support/stores.ts';

/*
 * Each refusal leaves one line in the log: who was refused, from where and why, without a secret. The functions run in
 * this process on real servers, since only an event can come from another address.
 */

const secret = 'a secret of this test and of no use elsewhere';
const token = 'application-of-this-test';
const lines: string[] = [];
let stores: Stores;
type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
let functions: Record<string, Handler>;
let creatorId = 0;
let strangerId = 0;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'refusals', { keyPrefix: inject('names').keyPrefix });
  Object.assign(process.env, inject('urls'), {
    MYSQL_URL: stores.url,
    REDIS_KEY_PREFIX: stores.keys.prefix,
    JWT_SECRET: secret,
    LIMIT_SIGN_UP: '2/60',
    LIMIT_SIGN_IN: '6/60',
    LIMIT_WRITES: '3/60',
    LIMIT_READS: '20/60',
    LIMIT_BAD_TOKENS: '400/60',
    POWERTOOLS_LOG_LEVEL: 'WARN',
  });
  [creatorId = 0, strangerId = 0] = await stores.addUsers('creator', 'stranger');
  await stores.accept.application({ token, name: 'A', creatorId });
  functions = {
    signUp: (await import('../../functions/http/users/sign-up.ts')).handler,
    createToken: (await import('../../functions/http/users/create-token.ts')).handler,
    changePassword: (await import('../../functions/http/users/change-password.ts')).handler,
    updateApplication: (await import('../../functions/http/applications/update-application.ts')).handler,
    listApplications: (await import('../../functions/http/applications/list-applications.ts')).handler,
  };
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      lines.push(...String(text).split('\n').filter(isRefusal));
      return true;
    });
  }
});
afterAll(async () => {
  vi.restoreAllMocks();
  await stores?.close();
});
beforeEach(() => {
  lines.length = 0;
});

/** Excludes lines of a client about its server, which appear on a busy machine. */
const isRefusal = (line: string) => line.startsWith('{') && !line.includes('is out of reach');

let addresses = 0;
const newAddress = () => {
  addresses += 1;
  return `192.0.2.${addresses}`;
};
const call = async (
  name: keyof typeof functions,
  method: string,
  path: string,
  {
    source = newAddress(),
    headers = {},
    body,
    pathParameters = {},
  }: {
    source?: string;
    headers?: Record<string, string>;
    body?: object;
    pathParameters?: Record<string, string>;
  } = {},
) => {
  const routeKey = `${method} ${path}`;
  const requestContext = {
    http: { method, path, protocol: 'HTTP/1.1', sourceIp: source, userAgent: '' },
    requestId: randomUUID(),
    routeKey,
  };
  const event = {
    version: '2.0',
    routeKey,
    rawPath: path,
    rawQueryString: '',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.1', ...headers },
    pathParameters,
    body: body === undefined ? undefined : JSON.stringify(body),
    isBase64Encoded: false,
    requestContext,
  } as unknown as APIGatewayProxyEventV2;
  const context = createLambdaContext(name, 10_000);
  const answer = await functions[name]?.(event, context);
  return answer ?? expect.unreachable();
};

/**
 * One request after the other is answered as the limit says. On a busy machine the limiter may need longer than a request
 * waits for it: that request passes, is counted all the same, and its answer tells no quota.
 * @returns the last answer that tells one
 */
const expectStatuses = async (expected: number[], request: (i: number) => ReturnType<typeof call>) => {
  let last: Awaited<ReturnType<typeof call>> | undefined;
  for (const [i, status] of expected.entries()) {
    const answer = await request(i);
    if (answer.headers?.RateLimit === undefined) continue;
    expect(answer.statusCode, `request ${i + 1}`).toBe(status);
    last = answer;
  }
  return last ?? expect.unreachable('No request was counted in time');
};
const basicOf = (email: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`,
});
const signIn = (email: string, password: string, source?: string) =>
  call('createToken', 'POST', '/users/token', {
    headers: basicOf(email, password),
    ...(source === undefined ? {} : { source }),
  });
const bearerOf = async (id: number, generation = 0) => {
  const { accessToken } = await createAccessTokens([secret]).issue({ id, name: 'N', generation });
  return { authorization: `Bearer ${accessToken}` };
};
/** An access token whose lifetime ended a second ago. */
const expiredToken = async () => {
  vi.useFakeTimers({ now: Date.now() - 3_601_000, toFake: ['Date'] });
  try {
    return await bearerOf(7);
  } finally {
    vi.useRealTimers();
  }
};
const accountOf = (email: string) =>
  createHmac('sha256', deriveKey(secret, 'address-hash')).update(email).digest('base64url');

/** The one line that was logged. */
const line = (): Record<string, unknown> => {
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '');
};

describe('one line is logged', () => {
  test('for a sign-in that is refused, naming the account by a keyed hash, however it is spelled', async () => {
    const email = `${randomUUID()}@example.org`;
    for (const spelled of [email, email.toUpperCase()]) {
      lines.length = 0;
      expect((await signIn(spelled, 'a wrong password', '192.0.2.200')).statusCode).toBe(401);
      expect(line()).toMatchObject({
        level: 'WARN',
        code: 'sign-in-refused',
        function: 'createToken',
        route: 'POST /users/token',
        source: '192.0.2.200',
        account: accountOf(email),
      });
    }
  });

  test('for an account that is locked for an address, and for one that is slowed down', async () => {
    const email = `${randomUUID()}@example.org`;
    const source = newAddress();
    for (let i = 0; i < 5; i += 1) await signIn(email, 'wrong', source);
    lines.length = 0;
    const locked = await signIn(email, 'wrong', source);
    expect(locked.statusCode).toBe(429);
    expect(Number(locked.headers?.['Retry-After'])).toBeGreaterThan(0);
    expect(line()).toMatchObject({ code: 'sign-in-locked', source, account: accountOf(email) });

    // As if many had failed from everywhere just now.
    const failed = { failures: 50, lastMs: Date.now() };
    await stores.redis.hset(stores.keys.signIn('account', accountOf(email)), failed);
    lines.length = 0;
    expect((await signIn(email, 'wrong')).statusCode).toBe(429);
    expect(line()).toMatchObject({ code: 'sign-in-delayed', account: accountOf(email) });
  });

  test.each([
    ['token-missing', async () => ({})],
    ['token-invalid', async () => ({ authorization: 'Bearer not-a-token' })],
    ['token-expired', () => expiredToken()],
    [
      'token-invalid',
      async () => ({ authorization: (await bearerOf(7)).authorization.replace(/....$/, 'AAAA') }),
    ],
  ])('for a bad token: %s', async (code, headers) => {
    const source = newAddress();
    const answer = await call('listApplications', 'GET', '/applications', {
      source,
      headers: await headers(),
    });
    expect(answer.statusCode).toBe(401);
    expect(line()).toMatchObject({ code, source, route: 'GET /applications' });
  });

  test('for credentials that are malformed', async () => {
    const headers = { authorization: 'Basic !!!' };
    expect((await call('createToken', 'POST', '/users/token', { headers })).statusCode).toBe(401);
    expect(line()).toMatchObject({ code: 'credentials-malformed' });
  });

  test('for a caller who may not', async () => {
    const source = newAddress();
    const answer = await call('updateApplication', 'PUT', '/applications/{token}', {
      source,
      headers: await bearerOf(strangerId),
      pathParameters: { token },
      body: { name: 'Mine' },
    });
    expect(answer.statusCode).toBe(403);
    expect(line()).toMatchObject({ code: 'request-forbidden', source, callerId: strangerId });
  });

  test('for each request beyond a rate limit', async () => {
    const source = newAddress();
    const signUp = () => call('signUp', 'POST', '/users', { source, body: {} });
    await expectStatuses([400, 400], signUp);
    lines.length = 0;
    const refused = await expectStatuses([429], signUp);
    expect(refused.headers).toMatchObject({
      'RateLimit-Policy': '"sign-up";q=2;w=60',
      RateLimit: expect.stringMatching(/^"sign-up";r=0;t=\d+$/),
      'Retry-After': expect.stringMatching(/^\d+$/),
    });
    expect(line()).toMatchObject({ code: 'rate-limited', source, route: 'POST /users' });
  });
});

describe('bad tokens', () => {
  const askBadly = (source: string, headers: Record<string, string> = { authorization: 'Bearer x' }) =>
    call('listApplications', 'GET', '/applications', { source, headers });

  test('leave one line a second and address, with their number', async () => {
    const [source, other] = [newAddress(), newAddress()];
    const answers = await Promise.all(Array.from({ length: 300 }, () => askBadly(source)));
    await askBadly(other);
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([401]));
    const countsOf = (of: string) =>
      lines
        .map((text) => JSON.parse(text))
        .flatMap(({ source: from, count }) => (from === of ? [count] : []));
    await expect
      .poll(() => countsOf(source).reduce((sum, count) => sum + count, 0), { timeout: 20_000 })
      .toBe(300);
    // A busy machine may need more than a second for the requests.
    expect(countsOf(source).length).toBeLessThan(20);
    expect(countsOf(other)).toEqual([1]);
  });

  test('are counted by address, and refused beyond the limit with 429, while good tokens pass', async () => {
    const source = newAddress();
    const refused = await expectStatuses([...Array(400).fill(401), 429, 429], () => askBadly(source));
    expect(refused.headers).toMatchObject({
      'RateLimit-Policy': '"bad-tokens";q=400;w=60',
      'Retry-After': expect.stringMatching(/^\d+$/),
    });
    const good = await askBadly(source, await bearerOf(creatorId));
    expect(good.statusCode).toBe(200);
    expect((await askBadly(source, {})).statusCode).toBe(401);
    expect((await askBadly(newAddress())).statusCode).toBe(401);
  });

  test('of a sign-in that has ended count by address as well, and leave the quota of the user alone', async () => {
    const [id = 0] = await stores.addUsers('signed-out');
    await stores.database.write('UPDATE users SET token_generation = 1 WHERE id = ?', [id]);
    await stores.redis.set(stores.keys.generation(id), 1);
    const [ended, present] = [await bearerOf(id), await bearerOf(id, 1)];
    const source = newAddress();
    const update = (headers: Record<string, string>) =>
      call('updateApplication', 'PUT', '/applications/{token}', {
        source,
        headers,
        pathParameters: { token },
        body: { name: 'B' },
      });
    await expectStatuses(Array(25).fill(401), () => askBadly(source, ended));
    const refused = await expectStatuses(Array(5).fill(401), () => update(ended));
    expect(refused.headers?.['RateLimit-Policy']).toBe('"bad-tokens";q=400;w=60');
    expect(await askBadly(source, present)).toMatchObject({
      statusCode: 200,
      headers: { RateLimit: expect.stringMatching(/^"reads";r=19;t=\d+$/) },
    });
    expect((await update(present)).headers?.RateLimit).toMatch(/^"writes";r=2;t=\d+$/);
  });

  test('of a sign-in that has ended leave the quota of the user alone also where Redis has lost the end', async () => {
    const [id = 0] = await stores.addUsers('signed-out-before-a-loss');
    await stores.database.write('UPDATE users SET token_generation = 1 WHERE id = ?', [id]);
    const [ended, present] = [await bearerOf(id), await bearerOf(id, 1)];
    const source = newAddress();
    const run = `run:${(await stores.client.connection()).server}`;
    const epoch = (await stores.redis.hget(stores.keys.state, run)) ?? '';
    await stores.redis.hdel(stores.keys.state, run);
    try {
      await expectStatuses(Array(25).fill(401), () => askBadly(source, ended));
    } finally {
      await stores.redis.hset(stores.keys.state, run, epoch);
    }
    expect(await askBadly(source, present)).toMatchObject({
      statusCode: 200,
      headers: { RateLimit: expect.stringMatching(/^"reads";r=19;t=\d+$/) },
    });
  });
});

describe('a password', () => {
  const password = 'correct horse battery';
  const signUp = (email: string, change: object = {}, source = newAddress()) =>
    call('signUp', 'POST', '/users', {
      source,
      headers: { 'idempotency-key': 'one-key' },
      body: { name: 'N', email, password, ...change },
    });

  /** Failures of an account, from all addresses. */
  const failuresOf = (email: string) =>
    stores.redis.hget(stores.keys.signIn('account', accountOf(email)), 'failures');

  test('that nobody looked at counts as no failure, while MySQL cannot be read', async () => {
    const email = `${randomUUID()}@example.org`;
    const source = newAddress();
    expect((await signUp(email)).statusCode).toBe(200);
    await stores.database.write('RENAME TABLE users TO users_away', []);
    try {
      for (let i = 0; i < 5; i += 1)
        expect((await signIn(email, password, source)).statusCode).toBeGreaterThanOrEqual(500);
    } finally {
      await stores.database.write('RENAME TABLE users_away TO users', []);
    }
    expect((await signIn(email, password, source)).statusCode).toBe(200);
    expect(await failuresOf(email)).toBeNull();
  });

  test('that nobody looked at counts as no failure, while too many hashes wait', {
    timeout: 120_000,
  }, async () => {
    const email = `${randomUUID()}@example.org`;
    const source = newAddress();
    expect((await signUp(email)).statusCode).toBe(200);
    // Three run and ten wait at most.
    const others = Array.from({ length: 13 }, () => signIn(`${randomUUID()}@example.org`, 'wrong'));
    const answers = await Promise.all(Array.from({ length: 5 }, () => signIn(email, password, source)));
    expect(answers.filter(({ statusCode }) => statusCode === 503).length).toBeGreaterThan(0);
    expect(answers.filter(({ statusCode }) => statusCode === 429 || statusCode === 401)).toEqual([]);
    await Promise.all(others);
    // Hashes of requests that were answered 503 may still run.
    const anotherSignIn = async () => (await signIn(`${randomUUID()}@example.org`, 'wrong')).statusCode;
    await expect.poll(anotherSignIn, { timeout: 90_000, interval: 1_000 }).toBe(401);
    expect((await signIn(email, password, source)).statusCode).toBe(200);
    expect(await failuresOf(email)).toBeNull();
  });

  test('in a repeated sign-up counts as an attempt to sign in', async () => {
    const email = `${randomUUID()}@example.org`;
    const source = newAddress();
    expect((await signUp(email)).statusCode).toBe(200);
    const statuses: (number | undefined)[] = [];
    for (const guess of ['first guess', 'second guess']) {
      statuses.push((await signUp(email, { password: guess }, source)).statusCode);
    }
    expect(statuses).toEqual([422, 422]);
    for (let i = 0; i < 3; i += 1) await signIn(email, 'wrong', source);
    const locked = await signIn(email, password, source);
    expect(locked.statusCode).toBe(429);
    expect(await failuresOf(email)).toBe('5');
    expect((await signUp(email)).statusCode).toBe(200);
    expect((await signIn(email, password)).statusCode).toBe(200);
  });
});

describe('a rate limit', () => {
  test('counts sign-ins of one address and ignores headers: sixty invented accounts cost six hashes', async () => {
    await expectStatuses([...Array(6).fill(401), ...Array(54).fill(429)], (i) =>
      call('createToken', 'POST', '/users/token', {
        source: `2001:db8:1:2::${(i + 1).toString(16)}`,
        headers: { ...basicOf(`${randomUUID()}@example.org`, 'wrong'), 'x-forwarded-for': `203.0.113.${i}` },
      }),
    );
    expect((await signIn('a@example.org', 'wrong', '2001:db8:1:3::1')).statusCode).toBe(401);
  });

  test('counts no request with a password whose body is refused', async () => {
    const source = newAddress();
    const change = (body: object) =>
      call('changePassword', 'PUT', '/users/me/password', {
        source,
        headers: basicOf('nobody@example.org', 'whatever it is'),
        body,
      });
    for (const password of [
      ...Array(10).fill('short'),
      'nobody@example.org',
      'Nobody@Example.ORG',
      'password123',
    ]) {
      const answer = await change({ password });
      expect(answer.statusCode).toBe(400);
      expect(answer.headers?.RateLimit).toBeUndefined();
    }
    // The limit is six. Five failures of one address with one account are the other limit.
    const first = await expectStatuses([401], () => change({ password: 'long enough' }));
    expect(first.headers?.RateLimit).toMatch(/^"sign-in";r=5;/);
  });

  test('counts a user’s writes from all addresses, and not another user’s', async () => {
    const write = async (id: number) =>
      call('updateApplication', 'PUT', '/applications/{token}', {
        headers: await bearerOf(id),
        pathParameters: { token },
        body: { name: 'A' },
      });
    await expectStatuses([200, 200, 200, 429], () => write(creatorId));
    expect((await write(strangerId)).statusCode).toBe(403);
    const reading = { headers: await bearerOf(creatorId) };
    expect((await call('listApplications', 'GET', '/applications', reading)).statusCode).toBe(200);
  });
});

test('no line holds a password, a token or an address', async () => {
  const email = `${randomUUID()}@example.org`;
  const password = 'not to be read anywhere';
  const { authorization } = await bearerOf(7);
  const before = addresses;
  await signIn(email, password);
  await call('signUp', 'POST', '/users', { body: { name: 'N', email, password: 'password' } });
  await call('listApplications', 'GET', '/applications', { headers: { authorization: `${authorization}x` } });
  // A second after many refusals, one line sums them up. It may be one of the tests before.
  const ofThisTest = lines.filter((line) => Number(JSON.parse(line).source.split('.').at(-1)) > before);
  expect(ofThisTest).toHaveLength(2);
  const said = lines.join('\n');
  for (const hidden of [
    email,
    password,
    authorization.slice(7),
    basicOf(email, password).authorization.slice(6),
  ]) {
    expect(said).not.toContain(hidden);
  }
});
