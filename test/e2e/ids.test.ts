import { randomUUID } from 'node:crypto';
import { beforeAll, expect, inject, it } from 'vitest';
import { routes } from '#lib/contracts/index.ts';
import { type Account, basic, Client, messagesPath, nextPath, type Reply } from '../support/client.ts';
import { eventually, query } from '../support/servers.ts';

/** Each table has ids of its own range, so that no id equals a number that clients may read. */
const firstIds = { users: 71_234_567, applications: 72_345_678, chats: 73_456_789, messages: 74_567_891 };

const account: Account = { name: 'Ada', email: `${randomUUID()}@example.org`, password: 'correct horse' };
const replies = new Map<string, Reply>();
const cursors: string[] = [];
let accessToken: string;
let ids: number[];

beforeAll(async () => {
  for (const [table, id] of Object.entries(firstIds)) {
    await query(`ALTER TABLE ${table} AUTO_INCREMENT = ${id}`);
  }
  let client = new Client(inject('apiUrl'));
  const call = async <Body>(method: string, route: string, path: string, body?: unknown, headers = {}) => {
    const reply = await client.call<Body>(method, path, { body, headers });
    expect(reply.status, `${method} ${path} ${reply.text}`).toBe(200);
    replies.set(`${method} ${route}`, reply);
    return reply;
  };
  await call('POST', '/users', '/users', account);
  const signedIn = await call<{ accessToken: string }>(
    'POST',
    '/users/token',
    '/users/token',
    undefined,
    basic(account),
  );
  accessToken = signedIn.body.accessToken;
  client = new Client(inject('apiUrl'), accessToken);
  await call('GET', '/users/me', '/users/me');

  const created = await call<{ token: string }>('POST', '/applications', '/applications', { name: 'Ids' });
  const { token } = created.body;
  const [application, chats, messages] = [
    '/applications/{token}',
    '/applications/{token}/chats',
    '/applications/{token}/chats/{chatNumber}/messages',
  ];
  await call('POST', chats, `/applications/${token}/chats`, { title: 'Ids' });
  for (const body of ['one', 'two', 'three']) await call('POST', messages, messagesPath(token, 1), { body });
  await call('PUT', '/applications', '/applications', { token, name: 'Ids!' });
  await call('PUT', application, `/applications/${token}`, { name: 'Ids?' });
  await call('PUT', `${chats}/{chatNumber}`, `/applications/${token}/chats/1`, { title: 'Ids!' });
  await call('PUT', messages, messagesPath(token, 1), { messageNumber: 1, body: 'one, edited' });
  await call('PUT', `${chats}/{chatNumber}/read`, `/applications/${token}/chats/1/read`, {
    messageNumber: 1,
  });
  await call('PUT', `${messages}/{messageNumber}`, `${messagesPath(token, 1)}/2`, { body: 'two, edited' });

  ids = await eventually(async () => {
    const rows = await query<{ id: number }>(
      `SELECT id FROM users WHERE email = ? UNION SELECT id FROM applications WHERE token = ?
       UNION SELECT id FROM chats WHERE token = ? UNION SELECT id FROM messages WHERE token = ?`,
      [account.email, token, token, token],
    );
    // Versions are no ids of rows: an ETag begins with one.
    expect(rows.length).toBeGreaterThanOrEqual(6);
    return rows.map(({ id }) => Number(id));
  });
  await eventually(async () => {
    const found = await client.get<unknown[]>(`${messagesPath(token, 1)}/search?q=edited`);
    expect(found.body).toHaveLength(2);
  });

  await call('DELETE', `${messages}/{messageNumber}`, `${messagesPath(token, 1)}/3`);
  await call('GET', '/applications', '/applications?limit=1');
  await call('GET', application, `/applications/${token}`);
  await call('GET', chats, `/applications/${token}/chats`);
  await call('GET', `${chats}/{chatNumber}`, `/applications/${token}/chats/1`);
  const page = await call('GET', messages, `${messagesPath(token, 1)}?limit=1`);
  cursors.push(new URLSearchParams(nextPath(page)?.split('?')[1]).get('before') ?? '');
  await call('GET', `${messages}/{messageNumber}`, `${messagesPath(token, 1)}/1`);
  await call('GET', `${messages}/search`, `${messagesPath(token, 1)}/search?q=edited&limit=1&highlight=true`);
  await call(
    'GET',
    '/applications/{token}/messages/search',
    `/applications/${token}/messages/search?q=edited&limit=1&highlight=true`,
  );
  await call('GET', '/search', `/search?application_token=${token}&chat_number=1&body=edited`);
  await call('GET', `${application}/changes`, `/applications/${token}/changes?since=0`);
  await call('GET', `${chats}/{chatNumber}/changes`, `/applications/${token}/chats/1/changes?since=0`);
  for (const path of ['/health', '/openapi.json', '/docs']) await call('GET', path, path);

  const second = await client.post<{ token: string }>('/applications', { name: 'Ids, deleted' });
  await client.post(`/applications/${second.body.token}/chats`);
  await call('DELETE', `${chats}/{chatNumber}`, `/applications/${second.body.token}/chats/1`);
  await call('DELETE', application, `/applications/${second.body.token}`);

  // Errors have bodies and headers too.
  const stranger = new Client(inject('apiUrl'));
  for (const [what, reply] of [
    ['conflict', await stranger.post('/users', account)],
    ['unauthenticated', await stranger.get(`/applications/${token}`)],
    ['not found', await client.get(`${messagesPath(token, 1)}/9`)],
    ['bad input', await client.post(messagesPath(token, 1), { body: 1 })],
  ] as const) {
    replies.set(what, reply);
  }

  // Both end the access token of the calls before.
  const other: Account = { ...account, password: 'another horse' };
  await call('PUT', '/users/me/password', '/users/me/password', { password: other.password }, basic(account));
  const again = await new Client(inject('apiUrl')).post<{ accessToken: string }>(
    '/users/token',
    undefined,
    basic(other),
  );
  client = new Client(inject('apiUrl'), again.body.accessToken);
  await call('DELETE', '/users/me/tokens', '/users/me/tokens');
  await call('DELETE', '/users/me', '/users/me', undefined, basic(other));

  // A redirect.
  replies.set('GET /', await client.get('/'));
});

/** The ways in which a number may be written. */
const spellings = (id: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(id));
  return [
    String(id),
    id.toString(16),
    id.toString(36),
    Buffer.from(String(id)).toString('base64url').replace(/.$/, ''),
    bytes.toString('base64url').replace(/^A+/, ''),
  ];
};

it('has asked every route', () => {
  for (const { method, path } of Object.values(routes)) {
    expect([...replies.keys()]).toContain(`${method} ${path}`);
  }
});

it('tells no id of the database in any body or header of any route', () => {
  for (const [route, { text, headers }] of replies) {
    // Random by nature, and looked into below.
    const seen = `${[...headers].flat().join('\n')}\n${text}`.replaceAll(accessToken, '');
    for (const id of ids) {
      // The other spellings are short enough to come up by chance in a page of code.
      const forms = route === 'GET /docs' ? [String(id)] : spellings(id);
      for (const form of forms)
        expect(seen.toLowerCase().includes(form.toLowerCase()), `${route}: ${form}`).toBe(false);
    }
  }
});

it('gives tokens that the client cannot read', () => {
  const [header, ...rest] = accessToken.split('.');
  const readable: Record<string, string> = JSON.parse(Buffer.from(header ?? '', 'base64url').toString());
  expect(readable).toEqual({
    alg: 'dir',
    enc: 'A256GCM',
    typ: 'at+jwt',
    kid: expect.stringMatching(/^[\w-]{8}$/),
  });
  const decoded = rest.map((part) => Buffer.from(part, 'base64url').toString('latin1')).join('\n');
  expect(decoded).not.toContain(account.name);
  for (const id of ids) {
    expect(decoded).not.toContain(String(id));
    expect(accessToken.startsWith(Buffer.from(String(id)).toString('base64url'))).toBe(false);
  }
});

it('gives cursors that hold a time and a number of the chat, and no id', () => {
  for (const cursor of cursors) {
    const [createdAt = '', number = '', ...signature] = cursor.split('.');
    expect(signature).toHaveLength(1);
    expect(Math.abs(Date.now() - Number.parseInt(createdAt, 36))).toBeLessThan(600_000);
    expect(Number.parseInt(number, 36)).toBe(3);
  }
});
