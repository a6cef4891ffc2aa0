import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import {
  Client,
  createApplication,
  createChat,
  createMessage,
  type Listed,
  messagesPath,
  nextPath,
  prevPath,
  readAll,
} from '../support/client.ts';
import { createUser, eventually, query, withRedis } from '../support/servers.ts';

let client: Client;
let other: Client;
let ada: string;
let grace: string;
let token: string;
let path: string;
beforeAll(async () => {
  ({ client, handle: ada } = await createUser('Ada'));
  ({ client: other, handle: grace } = await createUser('Grace'));
});
beforeEach(async () => {
  token = await createApplication(client);
  await createChat(client, token);
  path = messagesPath(token, 1);
});

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('POST …/messages', () => {
  it('answers only the number: 1, 2, 3, … in the chat, for any sender', async () => {
    expect((await client.post(path, { body: 'one' })).body).toEqual({ messageNumber: 1 });
    expect((await other.post(`${path}/`, { body: 'two' })).body).toEqual({ messageNumber: 2 });
    await createChat(client, token);
    expect((await client.post(messagesPath(token, 2), { body: 'one' })).body).toEqual({ messageNumber: 1 });
    expect((await client.get(path)).body).toEqual([
      {
        messageNumber: 2,
        sender: grace,
        senderName: 'Grace',
        body: 'two',
        createdAt: expect.stringMatching(ISO),
        changeNumber: expect.any(Number),
      },
      {
        messageNumber: 1,
        sender: ada,
        senderName: 'Ada',
        body: 'one',
        createdAt: expect.stringMatching(ISO),
        changeNumber: expect.any(Number),
      },
    ]);
  });

  it('sends one for the same Idempotency-Key and user, and refuses the key for another message', async () => {
    await createChat(client, token);
    const key = { 'idempotency-key': `k~!${randomUUID()}` };
    const send = (by: Client, to: string, body = 'once') =>
      by.post(to, { body }, key).then((reply) => (reply.status === 200 ? reply.body : reply.status));
    expect(await send(client, path)).toEqual({ messageNumber: 1 });
    expect(await send(client, path)).toEqual({ messageNumber: 1 });
    expect(await send(other, path)).toEqual({ messageNumber: 2 });
    expect(await send(client, path, 'another text')).toBe(422);
    expect(await send(client, messagesPath(token, 2))).toBe(422);
    expect((await client.get<Listed[]>(path)).body).toHaveLength(2);
  });

  it.each([
    ['2024-05-01T12:00:00Z', '2024-05-01T12:00:00.000Z'],
    ['2024-05-01T12:00:00.123Z', '2024-05-01T12:00:00.123Z'],
    ['2024-05-01T12:00:00.1239Z', '2024-05-01T12:00:00.123Z'],
    ['2024-05-01T12:00:00.5+05:30', '2024-05-01T06:30:00.500Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ])('keeps createdAt to the millisecond, and answers it in UTC: %s', async (given, expected) => {
    const messageNumber = await createMessage(client, token, 1, 'dated', given);
    expect((await client.get<Listed>(`${path}/${messageNumber}`)).body.createdAt).toBe(expected);
    // The same, once it comes from MySQL.
    await eventually(async () =>
      expect(await query('SELECT 1 FROM messages WHERE token = ?', [token])).toHaveLength(1),
    );
    await forgetWindow();
    expect((await client.get<Listed[]>(path)).body).toMatchObject([{ createdAt: expected }]);
  });

  it('orders by createdAt, newest first, then by the higher number; takes the server’s clock where it is absent', async () => {
    const at = (second: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, second)).toISOString();
    for (const second of [30, 10, 30, 20, 10]) await createMessage(client, token, 1, `${second}`, at(second));
    const before = Date.now();
    await createMessage(client, token, 1, 'now');
    const after = Date.now();
    const { body: page } = await client.get<Listed[]>(path);
    expect(page.map(({ messageNumber }) => messageNumber)).toEqual([6, 3, 1, 4, 5, 2]);
    expect(Date.parse(page[0]?.createdAt ?? '')).toBeGreaterThanOrEqual(before);
    expect(Date.parse(page[0]?.createdAt ?? '')).toBeLessThanOrEqual(after);
  });

  it('takes a createdAt of tomorrow, not of next week', async () => {
    const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    expect((await client.post(path, { body: 'soon', createdAt: inHours(23) })).status).toBe(200);
    expect(await client.post(path, { body: 'late', createdAt: inHours(24 * 7) })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'createdAt' }] },
    });
  });
});

/** Redis may lose everything except the counters at any time. */
const forgetWindow = () =>
  withRedis(async (redis, key) => {
    await redis.del(key(`${token}:1:order`), key(`${token}:1:entries`));
  });

describe('the sender of a message', () => {
  it('is the handle that only the sender sees as the own one', async () => {
    await createMessage(client, token, 1, 'mine');
    const { body: me } = await client.get<{ handle: string }>('/users/me');
    const { body: seen } = await other.get<Listed>(`${path}/1`);
    expect(seen.sender).toBe(me.handle);
    expect((await other.get<{ handle: string }>('/users/me')).body.handle).not.toBe(me.handle);
  });

  it('is shown, pending or stored, when an access token or a row from before handles lacks it', async () => {
    const { id, handle } = await createUser('Ada');
    const tokens = createAccessTokens([inject('functionEnvironment').JWT_SECRET ?? '']);
    const { accessToken } = await tokens.issue({ id, name: 'Ada' });
    await createMessage(new Client(inject('apiUrl'), accessToken), token, 1, 'of before');
    const isShown = async () => {
      expect((await other.get<Listed[]>(path)).body.map(({ sender }) => sender)).toEqual([handle]);
      expect((await other.get<Listed>(`${path}/1`)).body.sender).toBe(handle);
    };
    await isShown();
    const rows = () => query('SELECT sender FROM messages WHERE token = ?', [token]);
    await eventually(async () => expect(await rows()).toEqual([{ sender: handle }]));
    await isShown();
    await query('UPDATE messages SET sender = NULL WHERE token = ?', [token]);
    await forgetWindow();
    await isShown();
  });
});

describe.each<
  [route: string, request: (messageNumber: number, body: string) => [path: string, body: object]]
>([
  ['PUT …/messages', (messageNumber: number, body: string) => [path, { messageNumber, body }]],
  [
    'PUT …/messages/{messageNumber}',
    (messageNumber: number, body: string) => [`${path}/${messageNumber}`, { body }],
  ],
])('%s', (_route, request) => {
  it('answers an edit with an empty object; createdAt stays and editedAt appears', async () => {
    await createMessage(client, token, 1, 'befor', '2024-05-01T12:00:00Z');
    const started = Date.now();
    const reply = await client.put(...request(1, 'before'));
    expect([reply.status, reply.body]).toEqual([200, {}]);
    const edited: Listed = {
      messageNumber: 1,
      sender: ada,
      senderName: 'Ada',
      body: 'before',
      createdAt: '2024-05-01T12:00:00.000Z',
      editedAt: expect.stringMatching(ISO),
      changeNumber: expect.any(Number),
    };
    const { body: message } = await client.get<Listed>(`${path}/1`);
    expect(message).toEqual(edited);
    expect(Date.parse(message.editedAt ?? '')).toBeGreaterThanOrEqual(started);
    expect((await client.get(path)).body).toEqual([message]);

    await eventually(async () =>
      expect(await query('SELECT body FROM messages WHERE token = ?', [token])).toEqual([{ body: 'before' }]),
    );
    await forgetWindow();
    expect((await client.get(path)).body).toEqual([message]);
    expect((await client.get(`${path}/1`)).body).toEqual(message);
  });

  it('takes the last of many edits', async () => {
    await createMessage(client, token, 1, 'version 0');
    for (let i = 1; i <= 10; i += 1) await client.put(...request(1, `version ${i}`));
    expect((await client.get<Listed>(`${path}/1`)).body.body).toBe('version 10');
    await eventually(async () =>
      expect(await query('SELECT body FROM messages WHERE token = ?', [token])).toEqual([
        { body: 'version 10' },
      ]),
    );
  });

  it('answers 403 to who did not send it, also once only MySQL knows who did', async () => {
    await createMessage(client, token, 1, 'mine');
    expect(await other.put(...request(1, 'yours'))).toMatchObject({
      status: 403,
      body: { status: 403, detail: 'Only the sender of the message may change it.' },
    });
    await eventually(async () =>
      expect(await query('SELECT 1 FROM messages WHERE token = ?', [token])).toHaveLength(1),
    );
    await forgetWindow();
    expect((await other.put(...request(1, 'yours'))).status).toBe(403);
    expect((await client.get<Listed>(`${path}/1`)).body.body).toBe('mine');
    expect((await client.put(...request(1, 'mine still'))).status).toBe(200);
    expect((await client.get<Listed>(`${path}/1`)).body.body).toBe('mine still');
  });

  it('answers 404 for a number that was not given yet', async () => {
    await createMessage(client, token, 1, 'one');
    expect((await client.put(...request(2, 'two'))).status).toBe(404);
  });
});

describe('DELETE …/messages/{messageNumber}', () => {
  const remove = (by: Client, number = 1, headers: Record<string, string> = {}) =>
    by.call('DELETE', `${path}/${number}`, { headers });
  const isStored = () =>
    eventually(async () =>
      expect(await query('SELECT body FROM messages WHERE token = ?', [token])).toEqual([{ body: '' }]),
    );

  it('answers an empty object; the message keeps its place, its sender and its times, without its text', async () => {
    await createMessage(client, token, 1, 'secret', '2024-05-01T12:00:00Z');
    const started = Date.now();
    expect(await remove(client)).toMatchObject({ status: 200, body: {} });
    const deleted = {
      messageNumber: 1,
      sender: ada,
      senderName: 'Ada',
      body: '',
      createdAt: '2024-05-01T12:00:00.000Z',
      deletedAt: expect.stringMatching(ISO),
      changeNumber: expect.any(Number),
    };
    const { body: message } = await client.get<{ deletedAt: string }>(`${path}/1`);
    expect(message).toEqual(deleted);
    expect(Date.parse(message.deletedAt)).toBeGreaterThanOrEqual(started);
    const isShown = async () => {
      expect((await other.get(`${path}/1`)).body).toEqual(message);
      expect((await other.get(path)).body).toEqual([message]);
    };
    await isShown();
    await isStored();
    await isShown();
    await forgetWindow();
    await isShown();
    const { body: chat } = await client.get(`/applications/${token}/chats/1`);
    expect(chat).toMatchObject({ messagesCount: 1 });
  });

  it('answers 200 again, and an edit 409, as long as the message is pending and later', async () => {
    await createMessage(client, token, 1, 'secret');
    const check = async () => {
      expect((await remove(client)).status).toBe(200);
      expect((await client.put(`${path}/1`, { body: 'again' })).status).toBe(409);
      expect((await client.put(path, { messageNumber: 1, body: 'again' })).status).toBe(409);
    };
    await check();
    await isStored();
    await check();
    await forgetWindow();
    await check();
  });

  it('is the right of its sender and of the creator of the application, and of nobody else', async () => {
    const { client: third } = await createUser('Hedy');
    for (const body of ['by Grace', 'by Grace, too']) await createMessage(other, token, 1, body);
    expect(await remove(third)).toMatchObject({
      status: 403,
      body: { detail: 'Only the sender of the message or the creator of its application may delete it.' },
    });
    expect((await remove(other)).status).toBe(200);
    expect((await remove(third)).status).toBe(403);
    expect((await remove(client, 2)).status).toBe(200);
    expect((await remove(client, 3)).status).toBe(404);
  });

  it('takes If-Match, and leaves a repeated creation its answer', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const create = () => client.post(path, { body: 'secret' }, key);
    expect((await create()).body).toEqual({ messageNumber: 1 });
    const etag = (await client.get(`${path}/1`)).headers.get('etag') ?? '';
    await client.put(`${path}/1`, { body: 'edited' });
    expect((await remove(client, 1, { 'if-match': etag })).status).toBe(412);
    const newer = (await client.get(`${path}/1`)).headers.get('etag') ?? '';
    expect((await remove(client, 1, { 'if-match': newer })).status).toBe(200);
    expect((await create()).body).toEqual({ messageNumber: 1 });
    expect((await client.get<Listed[]>(path)).body).toMatchObject([{ messageNumber: 1, body: '' }]);
  });

  it('takes the message out of search at once', async () => {
    const word = `word${randomUUID().slice(0, 8)}`;
    await createMessage(client, token, 1, word);
    const found = async () => (await client.get<Listed[]>(`${path}/search?q=${word}`)).body;
    await eventually(async () => expect(await found()).toHaveLength(1));
    await remove(client);
    expect(await found()).toEqual([]);
    expect((await client.get(`${path}/search?sender=${ada}`)).body).toEqual([]);
  });
});

describe('GET …/messages', () => {
  it('links by cursor through all messages, exact while new ones arrive and once the window is gone', async () => {
    for (let i = 1; i <= 34; i += 1) await createMessage(client, token, 1, `${i}`);
    const expected = Array.from({ length: 34 }, (_, i) => 34 - i);
    const first = await client.get<Listed[]>(path);
    expect(first.body.map(({ messageNumber }) => messageNumber)).toEqual(expected.slice(0, 10));
    expect(nextPath(first)).toMatch(/messages\?before=[^&]+$/);

    const seen = first.body.map(({ messageNumber }) => messageNumber);
    for (let next = nextPath(first); next !== undefined; ) {
      await createMessage(other, token, 1, 'meanwhile');
      const page = await client.get<Listed[]>(next);
      seen.push(...page.body.map(({ messageNumber }) => messageNumber));
      next = nextPath(page);
    }
    expect(seen).toEqual(expected);

    await eventually(async () =>
      expect(await query('SELECT 1 FROM messages WHERE token = ?', [token])).toHaveLength(37),
    );
    await forgetWindow();
    const { items } = await readAll<Listed>(client, `${path}?limit=8`);
    expect(items.map(({ messageNumber }) => messageNumber)).toEqual(
      Array.from({ length: 37 }, (_, i) => 37 - i),
    );
  });

  it('reads oldest first with after, and its links lead both ways', async () => {
    for (let i = 1; i <= 7; i += 1) {
      await createMessage(client, token, 1, `${i}`, new Date(Date.UTC(2024, 0, 8 - (i % 4))).toISOString());
    }
    const numbersOf = ({ body }: { body: Listed[] }) => body.map(({ messageNumber }) => messageNumber);
    const newestFirst = numbersOf(await client.get<Listed[]>(path));
    const isRight = async () => {
      const { items } = await readAll<Listed>(client, `${path}?after=start&limit=2`);
      expect(items.map(({ messageNumber }) => messageNumber)).toEqual(newestFirst.toReversed());
      const first = await client.get<Listed[]>(`${path}?after=start&limit=3`);
      expect(prevPath(first)).toBeUndefined();
      const second = await client.get<Listed[]>(nextPath(first) ?? '');
      const back = await client.get<Listed[]>(prevPath(second) ?? '');
      expect(numbersOf(back)).toEqual(numbersOf(first).toReversed());
      const third = await client.get<Listed[]>(nextPath(second) ?? '');
      expect(numbersOf(third)).toEqual(newestFirst.slice(0, 1));
      expect(nextPath(third)).toBeUndefined();
      const down = await client.get<Listed[]>(nextPath(await client.get(`${path}?limit=3`)) ?? '');
      const up = await client.get<Listed[]>(prevPath(down) ?? '');
      expect(numbersOf(up)).toEqual(newestFirst.slice(0, 3).toReversed());
    };
    await isRight();
    await eventually(async () =>
      expect(await query('SELECT 1 FROM messages WHERE token = ?', [token])).toHaveLength(7),
    );
    await isRight();
    await forgetWindow();
    await isRight();
  });

  it('goes on after the newest message when more have come', async () => {
    await createMessage(client, token, 1, 'one');
    await createMessage(client, token, 1, 'two');
    const one = await client.get(`${path}?after=start&limit=1`);
    const two = await client.get<Listed[]>(nextPath(one) ?? '');
    expect(nextPath(two)).toBeUndefined();
    await createMessage(client, token, 1, 'three');
    const again = await client.get<Listed[]>(nextPath(one) ?? '');
    expect((await client.get<Listed[]>(nextPath(again) ?? '')).body).toMatchObject([{ body: 'three' }]);
  });

  it('takes page=N as well, and answers the same messages', async () => {
    for (let i = 1; i <= 12; i += 1) await createMessage(client, token, 1, `${i}`);
    const page = async (n: number) =>
      (await client.get<Listed[]>(`${path}?page=${n}&limit=5`)).body.map(
        ({ messageNumber }) => messageNumber,
      );
    expect([await page(1), await page(2), await page(3), await page(4)]).toEqual([
      [12, 11, 10, 9, 8],
      [7, 6, 5, 4, 3],
      [2, 1],
      [],
    ]);
  });

  it('answers an empty list for a chat without messages, and 304 to who has the page', async () => {
    const empty = await client.get(path);
    expect([empty.status, empty.body]).toEqual([200, []]);
    const tag = { 'if-none-match': empty.headers.get('etag') ?? '' };
    expect((await client.get(path, tag)).status).toBe(304);
    await createMessage(client, token, 1, 'one');
    expect((await client.get(path, tag)).status).toBe(200);
  });

  it('answers 400 to a cursor that was tampered with or is of another chat', async () => {
    await createChat(client, token);
    for (let i = 1; i <= 3; i += 1) {
      await createMessage(client, token, 1, `${i}`);
      await createMessage(client, token, 2, `${i}`);
    }
    const next = nextPath(await client.get(`${path}?limit=1`)) ?? '';
    const cursor = new URLSearchParams(next.split('?')[1]).get('before') ?? '';
    for (const bad of [
      `${path}?before=${cursor.slice(0, -1)}${cursor.endsWith('A') ? 'B' : 'A'}`,
      `${path}?before=1${cursor}`,
      `${messagesPath(token, 2)}?before=${cursor}`,
      `${path}?before=${cursor}&page=1`,
      `${path}?before=`,
    ]) {
      expect(await client.get(bad)).toMatchObject({ status: 400, body: { errors: [{ path: 'before' }] } });
    }
    for (const bad of [
      `${path}?after=Start`,
      `${path}?after=1${cursor}`,
      `${messagesPath(token, 2)}?after=${cursor}`,
      `${path}?after=${cursor}&page=1`,
      `${path}?after=start&before=${cursor}`,
      `${path}?after=`,
    ]) {
      expect(await client.get(bad)).toMatchObject({ status: 400, body: { errors: [{ path: 'after' }] } });
    }
    expect((await client.get(`${path}?after=${cursor}`)).status).toBe(200);
  });
});

describe('GET …/messages/{messageNumber}', () => {
  it('answers one message as the list shows it, and 404 for a missing one', async () => {
    await createMessage(client, token, 1, 'one');
    const [listed] = (await client.get<Listed[]>(path)).body;
    expect((await client.get(`${path}/1`)).body).toEqual(listed);
    expect((await other.get(`${path}/1/`)).body).toEqual(listed);
    expect((await client.get(`${path}/2`)).status).toBe(404);
  });
});
