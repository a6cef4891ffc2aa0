import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  nextPath,
  readAll,
} from '../support/client.ts';
import { createUser } from '../support/servers.ts';

type Chat = { chatNumber: number; title?: string; messagesCount: number };

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
      { chatNumber: 1, messagesCount: 0 },
      { chatNumber: 2, messagesCount: 0 },
      { chatNumber: 3, title: 'Τίτλος 🎉', messagesCount: 0 },
      { chatNumber: 4, title: 'x'.repeat(200), messagesCount: 0 },
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
      })),
    );
  });
});

describe('GET /applications/{token}/chats/{chatNumber}', () => {
  it('answers number, title and the number of messages, and 304 to who has them', async () => {
    const token = await createApplication(client);
    const path = `/applications/${token}/chats/1`;
    await createChat(client, token, 'General');
    await createMessage(client, token, 1, 'one');
    await createMessage(other, token, 1, 'two');
    const reply = await client.get(path);
    expect(reply.body).toEqual({ chatNumber: 1, title: 'General', messagesCount: 2 });
    expect((await other.get(`${path}/`)).body).toEqual(reply.body);
    const tag = { 'if-none-match': reply.headers.get('etag') ?? '' };
    expect((await client.get(path, tag)).status).toBe(304);
    await createMessage(client, token, 1, 'three');
    expect(await client.get(path, tag)).toMatchObject({ status: 200, body: { messagesCount: 3 } });
  });
});
