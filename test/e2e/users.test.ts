import { createHash, createHmac, randomUUID } from 'node:crypto';
import { EncryptJWT, SignJWT, UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { deriveKey } from '#lib/auth/keys.ts';
import {
  type Account,
  basic,
  Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
  type Problem,
  signIn,
  signUp,
} from '../support/client.ts';
import { eventually, invoke, query } from '../support/servers.ts';

const api = new Client(inject('apiUrl'));
const secret = inject('functionEnvironment').JWT_SECRET ?? '';

let client: Client;
let account: Account;
beforeAll(async () => {
  ({ client, account } = await signUp(inject('apiUrl'), 'Ada Lovelace'));
});

const problem = (status: number, title: string) => ({
  type: 'about:blank',
  title,
  status,
  detail: expect.any(String),
});

describe('GET /users/me', () => {
  it('answers the signed-in user', async () => {
    const { client: own, account: mine } = await signUp(inject('apiUrl'), 'Grace Hopper');
    expect(await own.get('/users/me')).toMatchObject({
      status: 200,
      body: { name: 'Grace Hopper', email: mine.email, handle: expect.stringMatching(/^[a-z0-9]{16}$/) },
    });
    expect((await api.get('/users/me')).status).toBe(401);
  });
});

describe('POST /users', () => {
  it('answers name, e-mail address and handle alone, the address in lower case', async () => {
    const email = `${randomUUID()}@Example.ORG`;
    const reply = await api.post('/users/', { name: 'Zoë 🦉', email, password: 'correct horse' });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      name: 'Zoë 🦉',
      email: email.toLowerCase(),
      handle: expect.stringMatching(/^[a-z0-9]{16}$/),
    });
    expect(reply.headers.get('content-type')).toMatch(/^application\/json\b/);
  });

  it('answers the name as others will see it: trimmed, with single spaces', async () => {
    const user = {
      name: ' Ada\u00a0 Lovelace\u3000',
      email: `${randomUUID()}@example.org`,
      password: 'correct horse',
    };
    const reply = await api.post('/users', user);
    expect(reply).toMatchObject({ status: 200, body: { name: 'Ada Lovelace' } });
  });

  it('keeps the password hashed', async () => {
    const [row] = await query<{ password: string }>('SELECT password FROM users WHERE email = ?', [
      account.email,
    ]);
    expect(row?.password).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$/);
    expect(row?.password).not.toContain(account.password);
  });

  it('answers 409 for a taken address, in upper and lower case', async () => {
    const reply = await api.post('/users', { ...account, email: account.email.toUpperCase() });
    expect(reply.status).toBe(409);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(reply.body).toEqual(problem(409, 'Conflict'));
  });

  it('answers the first answer to the same Idempotency-Key, and makes one user', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const user = { name: 'Once', email: `${randomUUID()}@example.org`, password: 'correct horse' };
    const first = await api.post('/users', user, key);
    const again = await api.post('/users', user, key);
    expect(first.status).toBe(200);
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(await query('SELECT 1 FROM users WHERE email = ?', [user.email])).toHaveLength(1);
    const otherKey = await api.post('/users', user, { 'idempotency-key': randomUUID() });
    expect(otherKey.status).toBe(409);
  });

  it('answers 422 to the same Idempotency-Key with another password or name, and changes nothing', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const user = { name: 'Once', email: `${randomUUID()}@example.org`, password: 'correct horse' };
    expect((await api.post('/users', user, key)).status).toBe(200);
    for (const change of [{ password: 'another horse' }, { name: 'Twice' }]) {
      const reply = await api.post('/users', { ...user, ...change }, key);
      expect(reply.status).toBe(422);
      expect(reply.body).toEqual(problem(422, 'Unprocessable Content'));
    }
    expect((await api.post('/users/token', undefined, basic(user))).status).toBe(200);
    const other = { ...user, email: `${randomUUID()}@example.org` };
    expect((await api.post('/users', other, key)).status).toBe(200);
  });

  it('keeps an HMAC of the request, from which the password cannot be guessed', async () => {
    const user = { name: 'Once', email: `${randomUUID()}@example.org`, password: 'correct horse' };
    await api.post('/users', user, { 'idempotency-key': 'key' });
    const [row] = await query<{ sign_up_request: string }>(
      'SELECT sign_up_request FROM users WHERE email = ?',
      [user.email],
    );
    const request = JSON.stringify([user.name, user.email, user.password]);
    const key = deriveKey(secret, 'sign-up-fingerprint');
    expect(row?.sign_up_request).toBe(createHmac('sha256', key).update(request).digest('base64url'));
  });

  it.each([
    ['a common password', { password: 'password' }],
    ['the e-mail address', { email: 'ada.lovelace@example.org', password: 'Ada.Lovelace' }],
    ['the name', { name: 'Augusta Ada', password: 'augusta ada' }],
    ['blanks', { password: '\u3000'.repeat(10) }],
    ['one sign that shows nothing', { password: '\u2800'.repeat(8) }],
    ['one sign of several code points', { password: '👍🏽'.repeat(8) }],
  ])('refuses as password: %s', async (_what, change) => {
    const user: Account = Object.assign(
      { name: 'N', email: `${randomUUID()}@example.org`, password: 'correct horse' },
      change,
    );
    const reply = await api.post<Problem>('/users', user);
    expect(reply.status).toBe(400);
    expect(reply.body.errors?.map(({ path }) => path)).toEqual(['password']);
  });

  it.each([
    ['spaces around it', (email: string) => ` ${email} `],
    ['a line break', (email: string) => `${email}\n`],
    ['a name beside it', (email: string) => `Ada <${email}>`],
    ['a letter that only looks like its own', (email: string) => email.replace('e', '\u0435')],
  ])('refuses an e-mail address with %s', async (_what, change) => {
    const email = change(`${randomUUID()}@example.org`);
    const reply = await api.post<Problem>('/users', { name: 'N', email, password: 'correct horse' });
    expect(reply.status).toBe(400);
    expect(reply.body.errors?.map(({ path }) => path)).toEqual(['email']);
  });

  it('shows the rest of its limit', async () => {
    const reply = await api.post('/users', {});
    expect(reply.status).toBe(400);
    expect(reply.headers.get('ratelimit-policy')).toBe('"sign-up";q=100000;w=3600');
    expect(reply.headers.get('ratelimit')).toMatch(/^"sign-up";r=\d+;t=\d+$/);
  });
});

describe('POST /users/token', () => {
  it('answers an access token, its type and its lifetime in seconds', async () => {
    const reply = await api.post<{ accessToken: string }>('/users/token', undefined, basic(account));
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({
      accessToken: expect.stringMatching(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/),
      tokenType: 'Bearer',
      expiresIn: 3600,
    });
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect((await new Client(inject('apiUrl'), reply.body.accessToken).get('/applications')).status).toBe(
      200,
    );
  });

  it.each([
    ['no header', {}],
    ['another scheme', { authorization: 'Bearer abc' }],
    ['not base64', { authorization: 'Basic !!!' }],
    ['no colon', { authorization: `Basic ${Buffer.from('nobody').toString('base64')}` }],
    ['an unknown address', basic({ email: 'nobody@example.org', password: 'correct horse' })],
    ['no password', basic({ email: 'nobody@example.org', password: '' })],
  ])('answers 401 and asks for Basic: %s', async (_what, headers: Record<string, string>) => {
    const reply = await api.post('/users/token', undefined, headers);
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(reply.body).toEqual(problem(401, 'Unauthorized'));
  });

  it.each([
    ['of 65 emoji', `${'🔑'.repeat(64)}🗝`],
    ['of 128 emoji', '🔑🚪'.repeat(64)],
    ['of 128 letters that are longer when decomposed', `${'\u1e69\u1e68'.repeat(63)}ab`],
    ['of ligatures that NFKC takes apart', '\ufdfa\ufdfb'.repeat(64)],
    ['with colons, quotes and line breaks', ' a:b:c"\'\\\r\n\t\u0000\ufeff '],
  ])('takes every password that sign-up takes: %s', async (_what, password) => {
    const user = { name: 'N', email: `${randomUUID()}@example.org`, password };
    expect((await api.post('/users', user)).status).toBe(200);
    expect((await api.post('/users/token', undefined, basic(user))).status).toBe(200);
    const decomposed = { ...user, password: password.normalize('NFD') };
    expect((await api.post('/users/token', undefined, basic(decomposed))).status).toBe(200);
    expect(
      (await api.post('/users/token', undefined, basic({ ...user, password: `${password}x` }))).status,
    ).toBe(401);
  });

  it('refuses a password that is not UTF-8, instead of reading it as another one', async () => {
    const user = { name: 'N', email: `${randomUUID()}@example.org`, password: `a${'\ufffd'.repeat(8)}` };
    expect((await api.post('/users', user)).status).toBe(200);
    const bytes = Buffer.concat([Buffer.from(`${user.email}:a`), Buffer.alloc(8, 0xff)]);
    const reply = await api.post('/users/token', undefined, {
      authorization: `Basic ${bytes.toString('base64')}`,
    });
    expect(reply.status).toBe(401);
  });

  it('answers 429 with Retry-After after repeated failures, also to the right password; others do not wait', async () => {
    const victim = { name: 'V', email: `${randomUUID()}@example.org`, password: 'correct horse' };
    expect((await api.post('/users', victim)).status).toBe(200);
    const wrong = basic({ ...victim, password: 'wrong' });
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      statuses.push((await api.post('/users/token', undefined, wrong)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    const reply = await api.post<Problem>('/users/token', undefined, basic(victim));
    expect(reply.body).toEqual(problem(429, 'Too Many Requests'));
    expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
    for (const change of [(email: string) => `${email}  `, (email: string) => email.toUpperCase()]) {
      const other = basic({ ...victim, email: change(victim.email) });
      expect((await api.post('/users/token', undefined, other)).status).not.toBe(200);
    }
    expect((await api.post('/users/token', undefined, basic(account))).status).toBe(200);
  });
});

describe('PUT /users/me/password', () => {
  it('ends the old password and every access token issued before, and answers nothing', async () => {
    const { client: first, account: mine } = await signUp(inject('apiUrl'), 'Ada');
    const second = new Client(inject('apiUrl'), await signIn(inject('apiUrl'), mine));
    const reply = await api.put('/users/me/password/', { password: 'another horse' }, basic(mine));
    expect([reply.status, reply.body]).toEqual([200, {}]);
    expect(reply.headers.get('ratelimit-policy')).toBe('"sign-in";q=100000;w=60');
    for (const ended of [first, second]) {
      const refused = await ended.get('/users/me');
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe(
        'Bearer realm="chat", error="invalid_token", error_description="The access token has ended. Sign in again."',
      );
    }
    expect((await api.post('/users/token', undefined, basic(mine))).status).toBe(401);
    const now = { ...mine, password: 'another horse' };
    const third = new Client(inject('apiUrl'), await signIn(inject('apiUrl'), now));
    expect((await third.get('/users/me')).status).toBe(200);
  });

  it('takes an access token for no password', async () => {
    const reply = await client.put('/users/me/password', { password: 'another horse' });
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
  });
});

describe('DELETE /users/me/tokens', () => {
  it('ends every access token, the one of the request included, and no later one', async () => {
    const { client: first, account: mine } = await signUp(inject('apiUrl'), 'Ada');
    const second = new Client(inject('apiUrl'), await signIn(inject('apiUrl'), mine));
    const reply = await first.call('DELETE', '/users/me/tokens/');
    expect([reply.status, reply.body]).toEqual([200, {}]);
    for (const ended of [first, second]) {
      expect((await ended.get('/applications')).status).toBe(401);
      expect((await ended.post('/applications', { name: 'n' })).status).toBe(401);
      expect((await ended.call('DELETE', '/users/me/tokens')).status).toBe(401);
    }
    const third = new Client(inject('apiUrl'), await signIn(inject('apiUrl'), mine));
    expect((await third.post('/applications', { name: 'n' })).status).toBe(200);
  });
});

describe('DELETE /users/me', () => {
  it('ends the account and its tokens, frees the address, and blanks its messages', async () => {
    const { client: own, account: mine } = await signUp(inject('apiUrl'), 'Ada');
    const token = await createApplication(client);
    const chatNumber = await createChat(client, token);
    const path = messagesPath(token, chatNumber);
    await createMessage(own, token, chatNumber, 'a text');
    await createMessage(client, token, chatNumber, 'an answer');
    const reply = await api.call('DELETE', '/users/me/', { headers: basic(mine) });
    expect([reply.status, reply.body]).toEqual([200, {}]);
    expect((await own.get('/users/me')).status).toBe(401);
    for (const again of [
      await api.call('DELETE', '/users/me', { headers: basic(mine) }),
      await api.post('/users/token', undefined, basic(mine)),
    ])
      expect(again.status).toBe(401);
    const successor = { ...mine, name: 'Grace' };
    expect((await api.post('/users', successor)).status).toBe(200);
    await eventually(async () => {
      await invoke('eraseDeleted');
      const { body } = await client.get<object[]>(path);
      expect(body).toEqual([
        expect.objectContaining({ senderName: 'Ada Lovelace', body: 'an answer' }),
        {
          messageNumber: 1,
          senderName: 'Deleted user',
          body: '',
          createdAt: expect.any(String),
          deletedAt: expect.any(String),
          changeNumber: expect.any(Number),
        },
      ]);
    });
    expect(
      (await new Client(inject('apiUrl'), await signIn(inject('apiUrl'), successor)).get('/users/me')).body,
    ).toMatchObject({ name: 'Grace' });
  });

  it('takes an access token for no password', async () => {
    const reply = await client.call('DELETE', '/users/me');
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
  });
});

describe('an access token', () => {
  const key = deriveKey(secret, 'access-token');
  const kid = deriveKey(secret, 'access-token-id').subarray(0, 6).toString('base64url');
  let userId: number;
  beforeAll(async () => {
    const [row] = await query<{ id: number }>('SELECT id FROM users WHERE email = ?', [account.email]);
    userId = row?.id ?? expect.unreachable();
  });
  type Change = {
    header?: Record<string, string>;
    issuer?: string;
    audience?: string;
    subject?: string;
    expires?: string;
    by?: Uint8Array;
  };
  const encrypt = (change: Change = {}) =>
    new EncryptJWT({ name: 'Mallory' })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt', kid, ...change.header })
      .setSubject(change.subject ?? String(userId))
      .setIssuer(change.issuer ?? 'chat-functions')
      .setAudience(change.audience ?? 'chat-functions-api')
      .setIssuedAt()
      .setExpirationTime(change.expires ?? '1h')
      .encrypt(change.by ?? key);
  const claims = () => ({
    sub: String(userId),
    name: 'Mallory',
    iss: 'chat-functions',
    aud: 'chat-functions-api',
    exp: Math.floor(Date.now() / 1000) + 3600,
    iat: Math.floor(Date.now() / 1000),
  });

  it('is accepted when it is complete, so each case below is refused for its change', async () => {
    expect((await new Client(inject('apiUrl'), await encrypt()).get('/applications')).status).toBe(200);
  });

  it.each<[string, () => Promise<string> | string]>([
    ['garbage', () => 'garbage'],
    ['expired', () => encrypt({ expires: '-1s' })],
    ['of another issuer', () => encrypt({ issuer: 'someone-else' })],
    ['for another audience', () => encrypt({ audience: 'another-api' })],
    ['of another type', () => encrypt({ header: { typ: 'JWT' } })],
    ['of an unknown key id', () => encrypt({ header: { kid: 'unknown0' } })],
    ['under another key', () => encrypt({ by: createHash('sha256').update('another').digest() })],
    ['of another content encryption', () => encrypt({ header: { enc: 'A128CBC-HS256' } })],
    ['of a subject that is no user id', () => encrypt({ subject: '-1' })],
    [
      'of another service',
      () =>
        createAccessTokens(['x'.repeat(32)])
          .issue({ id: 1, name: 'M' })
          .then((t) => t.accessToken),
    ],
    ['tampered with', () => `${client.accessToken?.slice(0, -4)}AAAA`],
    [
      'with another header',
      () => {
        const [, ...rest] = (client.accessToken ?? '').split('.');
        const header = { alg: 'dir', enc: 'A256GCM', typ: 'at+jwt', kid, x: 1 };
        return [Buffer.from(JSON.stringify(header)).toString('base64url'), ...rest].join('.');
      },
    ],
    [
      'signed, not encrypted',
      () => new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid }).sign(key),
    ],
    ['without a signature (alg none)', () => new UnsecuredJWT(claims()).encode()],
  ])('is answered 401 with WWW-Authenticate: %s', async (_what, make) => {
    const reply = await new Client(inject('apiUrl'), await make()).get('/applications');
    expect(reply.status).toBe(401);
    expect(reply.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="chat", error="invalid_token", error_description="The access token (is not valid|has expired)\."$/,
    );
    expect(reply.body).toEqual(problem(401, 'Unauthorized'));
  });

  it('is asked for in the header alone, under the scheme Bearer', async () => {
    for (const headers of [
      {},
      { authorization: client.accessToken ?? '' },
      { authorization: `Token ${client.accessToken}` },
      basic(account),
    ]) {
      const reply = await api.get('/applications', headers);
      expect(reply.status).toBe(401);
      expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="chat"');
    }
    const lowerCase = { authorization: `bearer ${client.accessToken}` };
    expect((await api.get('/applications', lowerCase)).status).toBe(200);
  });
});
