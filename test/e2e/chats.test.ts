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
import { createUser, eventually, query, withRedis } from '../support/servers.ts';

type Chat = { chatNumber: number; title?: string; messagesCount: number; unreadCount: number };

let client: Client;
let other: Client;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  ({ client: other } = await createUser('Grace'));
});

describe('POST /applications/{token}/chats', () => {
  it('answers only the number: 1, 2, 3, … in the application, for any creator; body and title are optional', async () => {
    const token = await createApplication(client);
    const path = `/applications/${token}/chats`;
    const replies = [
      await client.post(path),
      await client.post(path, {}),
      await client.post(`${path}/`, { title: 'Τίτλος 🎉' }),
      await other.post(path, { title: 'x'.repeat(200) }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(replies.map(({ body }) => body)).toEqual([1, 2, 3, 4].map((chatNumber) => ({ chatNumber })));
    expect((await client.get(path)).body).toEqual([
      { chatNumber: 1, messagesCount: 0, unreadCount: 0 },
      { chatNumber: 2, messagesCount: 0, unreadCount: 0 },
      { chatNumber: 3, title: 'Τίτλος 🎉', messagesCount: 0, unreadCount: 0 },
      { chatNumber: 4, title: 'x'.repeat(200), messagesCount: 0, unreadCount: 0 },
    ]);
  });

  it('creates one for the same Idempotency-Key and user, and refuses the key for another application', async () => {
    const [token, another] = [await createApplication(client), await createApplication(client)];
    const key = { 'idempotency-key': randomUUID() };
    const create = (by: Client, of: string) =>
      by.post<{ chatNumber: number }>(`/applications/${of}/chats`, undefined, key);
    expect((await create(client, token)).body).toEqual({ chatNumber: 1 });
    expect((await create(client, token)).body).toEqual({ chatNumber: 1 });
    expect((await create(other, token)).body).toEqual({ chatNumber: 2 });
    expect(await createChat(client, another)).toBe(1);
    expect((await create(client, another)).status).toBe(422);
    expect((await client.get(`/applications/${another}`)).body).toMatchObject({ chatsCount: 1 });
    expect((await client.get(`/applications/${token}`)).body).toMatchObject({ chatsCount: 2 });
  });
});

describe('PUT /applications/{token}/chats/{chatNumber}', () => {
  it('gives the chat another title, or none, at once and for good', async () => {
    const token = await createApplication(client);
    const path = `/applications/${token}/chats/1`;
    await createChat(client, token, 'General');
    await createMessage(client, token, 1, 'one');
    const shown = async () => [
      (await client.get(path)).body,
      (await client.get(`/applications/${token}/chats`)).body,
    ];
    const stored = async () =>
      eventually(async () => {
        const [row] = await query<{ title: string | null; updated: number }>(
          'SELECT title, updated_at > created_at AS updated FROM chats WHERE token = ? AND version > command_id',
          [token],
        );
        await withRedis(async (redis, key) => expect(await redis.exists(key(`chats::${token}`))).toBe(0));
        return row ?? expect.unreachable();
      });
    const renamed = { chatNumber: 1, title: 'Billing and more', messagesCount: 1, unreadCount: 0 };
    expect(await client.put(path, { title: '  Billing   and more ' })).toMatchObject({
      status: 200,
      body: {},
    });
    expect(await shown()).toEqual([renamed, [renamed]]);
    expect(await stored()).toEqual({ title: 'Billing and more', updated: 1 });
    expect(await shown()).toEqual([renamed, [renamed]]);

    const untitled = { chatNumber: 1, messagesCount: 1, unreadCount: 0 };
    for (const body of [{}, { title: 'again' }, { title: null }]) {
      expect((await client.put(`${path}/`, body)).status).toBe(200);
    }
    expect(await shown()).toEqual([untitled, [untitled]]);
    await eventually(async () => expect((await stored()).title).toBeNull());
    expect(await shown()).toEqual([untitled, [untitled]]);
  });

  it('is for the creators of the chat and of its application, and 404 before 403', async () => {
    const { client: third } = await createUser('Eve');
    const token = await createApplication(client);
    await createChat(other, token);
    const path = `/applications/${token}/chats/1`;
    const titled = async (by: Client, title: string) => (await by.put(path, { title })).status;
    expect(await titled(other, 'by its creator')).toBe(200);
    expect(await titled(client, 'by that of the application')).toBe(200);
    expect(await titled(third, 'by a stranger')).toBe(403);
    expect((await third.put(`/applications/${token}/chats/2`, { title: 'none' })).status).toBe(404);
    expect((await third.put('/applications/none/chats/1', { title: 'none' })).status).toBe(404);
    expect((await client.get<Chat>(path)).body.title).toBe('by that of the application');
  });

  it.each([
    { title: '' },
    { title: ' ' },
    { title: 'a\nb' },
    { title: 'x'.repeat(201) },
    { title: 1 },
    { name: 'x' },
  ])('refuses %j', async (body) => {
    const token = await createApplication(client);
    await createChat(client, token, 'kept');
    const path = `/applications/${token}/chats/1`;
    expect((await client.put(path, body)).status).toBe(400);
    expect((await client.get<Chat>(path)).body.title).toBe('kept');
  });

  it('gives the ETag another version, which a message does not', async () => {
    const token = await createApplication(client);
    await createChat(client, token, 'a');
    const path = `/applications/${token}/chats/1`;
    const version = async () => ((await client.get(path)).headers.get('etag') ?? '').split('-')[0];
    const before = await version();
    expect(before).toMatch(/^"[1-9]\d{15}$/);
    await createMessage(client, token, 1, 'one');
    expect(await version()).toBe(before);
    await client.put(path, { title: 'b' });
    expect(await version()).not.toBe(before);
  });
});

describe('DELETE /applications/{token}/chats/{chatNumber}', () => {
  it('makes the chat 404 on every route, at once and for good, and leaves a hole in the list', async () => {
    const token = await createApplication(client);
    for (let i = 1; i <= 3; i += 1) await createChat(client, token, `Chat ${i}`);
    await createMessage(other, token, 2, 'a secret');
    const path = `/applications/${token}/chats/2`;
    const messages = messagesPath(token, 2);
    expect(await client.delete(path)).toMatchObject({ status: 200, body: {} });
    const all = async () => [
      (await client.get(path)).status,
      (await client.put(path, { title: 'again' })).status,
      (await client.delete(path)).status,
      (await client.put(`${path}/read`, { messageNumber: 1 })).status,
      (await client.get(messages)).status,
      (await client.get(`${messages}/1`)).status,
      (await client.get(`${messages}/search?q=secret`)).status,
      (await client.get(`/search?application_token=${token}&chat_number=2&body=secret`)).status,
      (await other.post(messages, { body: 'late' })).status,
      (await other.put(`${messages}/1`, { body: 'late' })).status,
      (await other.delete(`${messages}/1`)).status,
    ];
    const list = `/applications/${token}/chats`;
    const shown = async () => {
      const first = await client.get<Chat[]>(`${list}?limit=2`);
      const second = await client.get<Chat[]>(`${list}?limit=1&page=2`);
      return [first.body.map(({ chatNumber }) => chatNumber), nextPath(first), second.body, nextPath(second)];
    };
    const expected = [[1], `${list}?limit=2&page=2`, [], `${list}?limit=1&page=3`];
    expect(new Set(await all())).toEqual(new Set([404]));
    expect(await shown()).toEqual(expected);
    await eventually(async () =>
      expect(
        await query('SELECT title FROM chats WHERE token = ? AND deleted_at IS NOT NULL', [token]),
      ).toEqual([{ title: null }]),
    );
    expect(new Set(await all())).toEqual(new Set([404]));
    expect(await shown()).toEqual(expected);
    expect((await client.get(`/applications/${token}`)).body).toMatchObject({ chatsCount: 3 });
    expect(await createChat(client, token)).toBe(4);
  });

  it('is for the creators of the chat and of its application, and takes If-Match', async () => {
    const { client: third } = await createUser('Eve');
    const token = await createApplication(client);
    await createChat(other, token);
    await createChat(other, token);
    const path = `/applications/${token}/chats`;
    expect((await third.delete(`${path}/1`)).status).toBe(403);
    expect((await third.delete(`${path}/9`)).status).toBe(404);
    const tag = (await client.get(`${path}/1`)).headers.get('etag') ?? '';
    await other.put(`${path}/1`, { title: 'another version' });
    expect((await other.delete(`${path}/1`, { 'if-match': tag })).status).toBe(412);
    expect((await other.delete(`${path}/1`)).status).toBe(200);
    expect((await client.delete(`${path}/2`)).status).toBe(200);
  });

  it('answers a repetition with its Idempotency-Key as before', async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    const path = `/applications/${token}/chats`;
    const key = { 'idempotency-key': randomUUID() };
    const created = await client.post(path, { title: 'once' }, key);
    expect(
      (await client.delete(`${path}/2`, { 'idempotency-key': `${key['idempotency-key']}-2` })).status,
    ).toBe(200);
    expect(
      (await client.delete(`${path}/2`, { 'idempotency-key': `${key['idempotency-key']}-2` })).status,
    ).toBe(200);
    expect((await client.delete(`${path}/2`)).status).toBe(404);
    expect((await client.post(path, { title: 'once' }, key)).body).toEqual(created.body);
    expect((await client.get(`${path}/2`)).status).toBe(404);
  });
});

describe('GET /applications/{token}/chats', () => {
  it('answers chats by number, by pages that link to the next', async () => {
    const token = await createApplication(client);
    const path = `/applications/${token}/chats`;
    expect((await client.get(path)).body).toEqual([]);
    for (let i = 1; i <= 23; i += 1) await createChat(client, token, `Chat ${i}`);
    await createMessage(other, token, 12, 'counted');

    const first = await client.get<Chat[]>(path);
    expect(first.body.map(({ chatNumber }) => chatNumber)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(nextPath(first)).toBe(`${path}?page=2`);
    const { items, pages } = await readAll<Chat>(client, `${path}?limit=9`);
    expect(pages).toBe(3);
    expect(items).toEqual(
      Array.from({ length: 23 }, (_, i) => ({
        chatNumber: i + 1,
        title: `Chat ${i + 1}`,
        messagesCount: i + 1 === 12 ? 1 : 0,
        unreadCount: i + 1 === 12 ? 1 : 0,
      })),
    );
  });
});

describe('GET /applications/{token}/chats/{chatNumber}', () => {
  it('answers number, title and numbers of messages, and 304 to who has them', async () => {
    const token = await createApplication(client);
    const path = `/applications/${token}/chats/1`;
    await createChat(client, token, 'General');
    await createMessage(client, token, 1, 'one');
    await createMessage(other, token, 1, 'two');
    const reply = await client.get(path);
    expect(reply.body).toEqual({ chatNumber: 1, title: 'General', messagesCount: 2, unreadCount: 1 });
    expect((await other.get(`${path}/`)).body).toEqual({ ...Object(reply.body), unreadCount: 0 });
    const tag = { 'if-none-match': reply.headers.get('etag') ?? '' };
    expect((await client.get(path, tag)).status).toBe(304);
    await createMessage(client, token, 1, 'three');
    expect(await client.get(path, tag)).toMatchObject({ status: 200, body: { messagesCount: 3 } });
  });
});

describe('PUT /applications/{token}/chats/{chatNumber}/read', () => {
  it("raises the caller's marker and never lowers it, and counts what is unread for this caller alone", async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    const path = `/applications/${token}/chats/1`;
    const read = (by: Client, messageNumber: number) => by.put(`${path}/read`, { messageNumber });
    const unread = async (by: Client) => (await by.get<Chat>(path)).body.unreadCount;
    for (const body of ['one', 'two', 'three']) await createMessage(client, token, 1, body);
    expect([await unread(client), await unread(other)]).toEqual([0, 3]);
    expect(await read(other, 2)).toMatchObject({ status: 200, body: { messageNumber: 2, unreadCount: 1 } });
    expect((await read(other, 1)).body).toEqual({ messageNumber: 2, unreadCount: 1 });
    expect((await other.put(`${path}/read/`, { messageNumber: 2 })).body).toEqual({
      messageNumber: 2,
      unreadCount: 1,
    });
    expect((await read(client, 1)).body).toEqual({ messageNumber: 3, unreadCount: 0 });
    expect([await unread(client), await unread(other)]).toEqual([0, 1]);
    await createMessage(other, token, 1, 'four');
    expect([await unread(client), await unread(other)]).toEqual([1, 0]);
    const { body: list } = await client.get<Chat[]>(`/applications/${token}/chats`);
    expect(list).toEqual([{ chatNumber: 1, messagesCount: 4, unreadCount: 1 }]);
  });

  it('changes the digest of the ETag, and no version', async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    await createMessage(other, token, 1, 'one');
    const path = `/applications/${token}/chats/1`;
    const tag = async () => (await client.get(path)).headers.get('etag')?.slice(1, -1).split(/-(.*)/s) ?? [];
    const [version, digest] = await tag();
    await client.put(`${path}/read`, { messageNumber: 1 });
    const after = await tag();
    expect(after[0]).toBe(version);
    expect(after[1]).not.toBe(digest);
  });

  it('refuses a number that was not given, a chat that does not exist, and a bad body', async () => {
    const token = await createApplication(client);
    await createChat(client, token);
    await createMessage(other, token, 1, 'one');
    const path = `/applications/${token}/chats`;
    const status = async (chat: string, body: unknown) =>
      (await client.put(`${path}/${chat}/read`, body)).status;
    expect(await status('1', { messageNumber: 2 })).toBe(404);
    expect(await status('2', { messageNumber: 1 })).toBe(404);
    for (const messageNumber of [0, -1, 1.5, '1', null, 4_294_967_296])
      expect(await status('1', { messageNumber }), String(messageNumber)).toBe(400);
    expect(await status('1', {})).toBe(400);
    expect(await status('1', { messageNumber: 1, more: 1 })).toBe(400);
    expect(await status('0', { messageNumber: 1 })).toBe(400);
    expect((await client.get<Chat>(`${path}/1`)).body.unreadCount).toBe(1);
  });
});
