import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
  nextPath,
  readAll,
} from '../support/client.ts';
import { createUser, eventually, query } from '../support/servers.ts';

type Application = { token: string; name: string; chatsCount: number };

let client: Client;
let other: Client;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  ({ client: other } = await createUser('Grace'));
});

const problem = (status: number, title: string) => ({
  type: 'about:blank',
  title,
  status,
  detail: expect.any(String),
});

describe('POST /applications', () => {
  it('answers a token alone, which no other application has', async () => {
    const reply = await client.post<{ token: string }>('/applications/', { name: 'Help desk' });
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ token: expect.stringMatching(/^[\w-]{24}$/) });
    expect(await createApplication(client, 'Help desk')).not.toBe(reply.body.token);
  });

  it('creates one for the same Idempotency-Key of the same user, and another for another user', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const create = (by: Client, name = 'Once') =>
      by.post<{ token: string }>('/applications', { name }, key).then(({ body }) => body.token);
    const first = await create(client);
    expect(await create(client)).toBe(first);
    expect(await create(other)).not.toBe(first);
    const { items } = await readAll<Application>(client, '/applications?limit=100');
    expect(items.filter(({ token }) => token === first)).toEqual([
      { token: first, name: 'Once', chatsCount: 0 },
    ]);
  });

  it('refuses a key that was used for another request, on this route and on any other', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const { body } = await client.post<{ token: string }>('/applications', { name: 'Once' }, key);
    for (const [path, request] of [
      ['/applications', { name: 'Another' }],
      [`/applications/${body.token}/chats`, { title: 'Another' }],
    ] as const) {
      expect((await client.post(path, request, key)).status).toBe(422);
    }
    expect((await client.get(`/applications/${body.token}`)).body).toMatchObject({ chatsCount: 0 });
  });

  it('creates one for many requests with one key at once', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const replies = await Promise.all(
      Array.from({ length: 20 }, () =>
        client.post<{ token: string }>('/applications', { name: 'At once' }, key),
      ),
    );
    expect(new Set(replies.map(({ status, body }) => `${status} ${body.token}`)).size).toBe(1);
  });
});

describe.each<[route: string, request: (token: string, name: string) => [path: string, body: object]]>([
  ['PUT /applications', (token: string, name: unknown) => ['/applications', { token, name }]],
  ['PUT /applications/{token}', (token: string, name: unknown) => [`/applications/${token}`, { name }]],
])('%s', (_route, request) => {
  it('renames, with nothing to say', async () => {
    const token = await createApplication(client, 'Old');
    const reply = await client.put(...request(token, 'New'));
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({});
    expect((await client.get(`/applications/${token}`)).body).toMatchObject({ name: 'New' });
    const [path, body] = request(token, 'Newer');
    expect((await client.put(`${path}/`, body)).status).toBe(200);
    expect((await client.get(`/applications/${token}`)).body).toMatchObject({ name: 'Newer' });
  });

  it('answers 403 to who did not create it, and changes nothing', async () => {
    const token = await createApplication(client, 'Mine');
    const reply = await other.put(...request(token, 'Yours'));
    expect(reply.status).toBe(403);
    expect(reply.body).toEqual(problem(403, 'Forbidden'));
    expect((await client.get(`/applications/${token}`)).body).toMatchObject({ name: 'Mine' });
  });

  it('answers 404 for a token that no application has', async () => {
    const reply = await client.put(...request('no-such-token', 'New'));
    expect(reply.status).toBe(404);
    expect(reply.body).toEqual(problem(404, 'Not Found'));
  });
});

describe('GET /applications/{token}', () => {
  it('answers token, name and the number of chats, to every signed-in user', async () => {
    const token = await createApplication(client, 'Counted');
    await createChat(client, token);
    await createChat(other, token);
    const expected = { token, name: 'Counted', chatsCount: 2 };
    expect((await client.get(`/applications/${token}`)).body).toEqual(expected);
    expect((await other.get(`/applications/${token}/`)).body).toEqual(expected);
  });

  it('answers 304 without a body to a client that has it, until it changes', async () => {
    const token = await createApplication(client, 'Cached');
    const path = `/applications/${token}`;
    const first = await client.get(path);
    const tag = first.headers.get('etag') ?? '';
    expect(tag).toMatch(/^"[\w-]+"$/);
    for (const header of [tag, `W/${tag}`, `"other", ${tag}`]) {
      const again = await client.get(path, { 'if-none-match': header });
      expect([again.status, again.text]).toEqual([304, '']);
      expect(again.headers.get('etag')).toBe(tag);
    }
    await client.put(path, { name: 'Changed' });
    expect(await client.get(path, { 'if-none-match': tag })).toMatchObject({
      status: 200,
      body: { name: 'Changed' },
    });
  });
});

describe('GET /applications', () => {
  it('answers the caller’s own, newest first, by pages that link to the next', async () => {
    const user = await createUser('Barbara');
    expect((await user.client.get('/applications')).body).toEqual([]);
    const tokens: string[] = [];
    for (let i = 1; i <= 25; i += 1) tokens.push(await createApplication(user.client, `Number ${i}`));
    const newestFirst = tokens.toReversed();

    const first = await user.client.get<Application[]>('/applications');
    expect(first.body.map(({ token }) => token)).toEqual(newestFirst.slice(0, 10));
    expect(first.body[0]).toEqual({ token: tokens[24], name: 'Number 25', chatsCount: 0 });
    expect(nextPath(first)).toBe('/applications?page=2');

    const pages = [];
    for (let path: string | undefined = '/applications?limit=7'; path !== undefined; ) {
      const page = await user.client.get<Application[]>(path);
      pages.push(page.body.map(({ token }) => token));
      path = nextPath(page);
      if (path !== undefined) expect(path).toContain('limit=7');
    }
    expect(pages.map(({ length }) => length)).toEqual([7, 7, 7, 4]);
    expect(pages.flat()).toEqual(newestFirst);

    const beyond = await user.client.get('/applications?page=9&limit=7');
    expect([beyond.status, beyond.body, nextPath(beyond)]).toEqual([200, [], undefined]);
  });
});

describe('DELETE /applications/{token}', () => {
  it('makes the application and its chats 404 on every route, at once and for good', async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    await createMessage(client, token, 1, 'a secret');
    const path = `/applications/${token}`;
    expect((await other.delete(path)).status).toBe(403);
    expect(await client.delete(path)).toMatchObject({ status: 200, body: {} });
    const all = async () => [
      (await client.get(path)).status,
      (await client.put(path, { name: 'again' })).status,
      (await client.put('/applications', { token, name: 'again' })).status,
      (await client.delete(path)).status,
      (await client.get(`${path}/chats`)).status,
      (await client.post(`${path}/chats`)).status,
      (await client.get(`${path}/chats/1`)).status,
      (await client.get(`${path}/messages/search?q=secret`)).status,
      (await client.get(messagesPath(token, 1))).status,
      (await client.post(messagesPath(token, 1), { body: 'late' })).status,
    ];
    const listed = async () =>
      (await client.get<{ token: string }[]>('/applications?limit=100')).body.map((one) => one.token);
    expect(new Set(await all())).toEqual(new Set([404]));
    expect(await listed()).not.toContain(token);
    await eventually(async () =>
      expect(
        await query('SELECT name FROM applications WHERE token = ? AND deleted_at IS NOT NULL', [token]),
      ).toEqual([{ name: '' }]),
    );
    expect(new Set(await all())).toEqual(new Set([404]));
    expect(await listed()).not.toContain(token);
    expect((await client.delete('/applications/no-such-application')).status).toBe(404);
  });
});
