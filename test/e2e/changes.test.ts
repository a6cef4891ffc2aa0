import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
} from '../support/client.ts';
import { expectFeedToEqualGet, readFeed } from '../support/follow-feed.ts';
import { createUser, eventually, query } from '../support/servers.ts';

let client: Client;
let token: string;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  token = await createApplication(client);
});

const upToOf = async (path: string): Promise<number> => {
  const { status, headers } = await client.get(path);
  expect(status, path).toBe(200);
  return Number(headers.get('changes-up-to'));
};
const typesSince = async (path: string, since: number) =>
  (await readFeed(client, path, { since })).items.map(({ type }) => type);

describe('what the feed says, applied to an empty copy, equals what GET answers', () => {
  it('after every command, while it is pending and when it is stored', async () => {
    const of = await createApplication(client);
    const application = `/applications/${of}`;
    const commands: [string, () => Promise<{ status: number }>][] = [
      ['application.updated', () => client.put(application, { name: 'Another name' })],
      ['chat.created', () => client.post(`${application}/chats`, { title: 'One' })],
      ['chat.created', () => client.post(`${application}/chats`)],
      ['chat.updated', () => client.put(`${application}/chats/1`, { title: 'Uno' })],
      ['message.created', () => client.post(messagesPath(of, 1), { body: 'Hello' })],
      [
        'message.created',
        () => client.post(messagesPath(of, 2), { body: 'Hello 🎉', createdAt: '2020-01-01T00:00:00Z' }),
      ],
      ['message.updated', () => client.put(`${messagesPath(of, 1)}/1`, { body: 'Hello, edited' })],
      ['message.created', () => client.post(messagesPath(of, 1), { body: 'To be deleted' })],
      ['message.deleted', () => client.delete(`${messagesPath(of, 1)}/2`)],
      ['chat.deleted', () => client.delete(`${application}/chats/2`)],
      ['chat.updated', () => client.put(`${application}/chats/1`, {})],
    ];
    const types = ['application.created'];
    for (const [type, call] of commands) {
      const before = await upToOf(application);
      expect((await call()).status, type).toBe(200);
      expect(await typesSince(`${application}/changes`, before), type).toEqual([type]);
      await expectFeedToEqualGet(client, of);
      types.push(type);
    }
    await eventually(async () => {
      const rows = await query<{ type: string }>(
        'SELECT c.type FROM changes c JOIN applications a ON a.id = c.application_id WHERE a.token = ? ORDER BY c.number',
        [of],
      );
      // Each once, because no command came again. The erasure removes those of the deleted chat but its deletion.
      expect(rows.map(({ type }) => type)).toEqual(
        expect.arrayContaining(['chat.deleted', 'message.deleted']),
      );
    });
    await expectFeedToEqualGet(client, of);
  });
});

describe('Changes-Up-To', () => {
  it('tells where a client begins that has read a list or a single item', async () => {
    const chatNumber = await createChat(client, token);
    await createMessage(client, token, chatNumber, 'before');
    const paths = [
      `/applications/${token}`,
      `/applications/${token}/chats`,
      `/applications/${token}/chats/${chatNumber}`,
      messagesPath(token, chatNumber),
      `${messagesPath(token, chatNumber)}/1`,
    ];
    const positions = await Promise.all(paths.map(upToOf));
    await createMessage(client, token, chatNumber, 'after');
    for (const [at, position] of positions.entries()) {
      const { items } = await readFeed(client, `/applications/${token}/changes`, { since: position });
      expect(items, paths[at]).toMatchObject([{ type: 'message.created', message: { body: 'after' } }]);
    }
  });

  it('is the number of the content, in events and in GET, or higher', async () => {
    const chatNumber = await createChat(client, token);
    const since = await upToOf(`/applications/${token}`);
    await createMessage(client, token, chatNumber, 'one');
    const path = `${messagesPath(token, chatNumber)}/1`;
    const first = await client.get<{ changeNumber: number }>(path);
    expect(first.body.changeNumber).toBeGreaterThan(since);
    expect(Number(first.headers.get('changes-up-to'))).toBeGreaterThanOrEqual(first.body.changeNumber);
    await client.put(path, { body: 'two' });
    const second = await client.get<{ changeNumber: number }>(path);
    expect(second.body.changeNumber).toBeGreaterThan(first.body.changeNumber);
    const { items } = await readFeed(client, `/applications/${token}/changes`, { since });
    expect(items.map(({ message }) => message?.changeNumber)).toEqual([
      second.body.changeNumber,
      second.body.changeNumber,
    ]);
  });
});

describe('GET /applications/{token}/changes', () => {
  it('without since tells only where to begin', async () => {
    const { status, body } = await client.get<object>(`/applications/${token}/changes`);
    expect(status).toBe(200);
    expect(body).toEqual({ changeNumber: expect.any(Number), more: false, items: [] });
  });

  it('goes on in pages of any size, each event once', async () => {
    const of = await createApplication(client);
    const chatNumber = await createChat(client, of);
    for (let i = 0; i < 5; i += 1) await createMessage(client, of, chatNumber, `message ${i}`);
    const numbers = async (limit: number) =>
      (await readFeed(client, `/applications/${of}/changes`, { limit })).items.map(
        ({ changeNumber }) => changeNumber,
      );
    const all = await numbers(100);
    expect(all).toHaveLength(7);
    expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
    for (const limit of [1, 2, 3]) expect(await numbers(limit)).toEqual(all);
  });

  it('shows a message over 24 KB without its text', async () => {
    const of = await createApplication(client);
    const chatNumber = await createChat(client, of);
    await createMessage(client, of, chatNumber, '界'.repeat(9_000));
    const { items } = await readFeed(client, `/applications/${of}/changes`);
    expect(items.at(-1)).toEqual({
      type: 'message.created',
      changeNumber: expect.any(Number),
      date: expect.any(String),
      token: of,
      chatNumber,
      messageNumber: 1,
    });
  });

  it.each([
    ['since=-1', 400],
    ['since=1.5', 400],
    ['since=9007199254740992', 400],
    ['since=', 400],
    ['limit=101', 400],
    ['before=1', 400],
    ['since=9007199254740991', 410],
    ['since=0&limit=1', 200],
  ])('answers to ?%s with %i', async (search, expected) => {
    const { status, text } = await client.get(`/applications/${token}/changes?${search}`);
    expect(status, text).toBe(expected);
  });

  it('is 404 for an application that does not exist, or no longer', async () => {
    const gone = await createApplication(client);
    expect((await client.delete(`/applications/${gone}`)).status).toBe(200);
    for (const missing of [gone, 'nobody'])
      expect((await client.get(`/applications/${missing}/changes?since=0`)).status).toBe(404);
  });
});

describe('GET /applications/{token}/chats/{chatNumber}/changes', () => {
  it('has the changes of that chat only', async () => {
    const of = await createApplication(client);
    const [one, other] = [await createChat(client, of), await createChat(client, of)];
    await createMessage(client, of, one, 'here');
    await createMessage(client, of, other, 'there');
    const { items } = await readFeed(client, `/applications/${of}/chats/${one}/changes`, { limit: 1 });
    expect(items).toMatchObject([
      { type: 'chat.created', chatNumber: one, chat: { chatNumber: one, messagesCount: 1 } },
      { type: 'message.created', chatNumber: one, messageNumber: 1, message: { body: 'here' } },
    ]);
  });

  it('is 404 for a chat that does not exist, or no longer; the application tells of its deletion', async () => {
    const of = await createApplication(client);
    const chatNumber = await createChat(client, of);
    const since = await upToOf(`/applications/${of}`);
    expect((await client.delete(`/applications/${of}/chats/${chatNumber}`)).status).toBe(200);
    for (const number of [chatNumber, 99])
      expect((await client.get(`/applications/${of}/chats/${number}/changes?since=0`)).status).toBe(404);
    const { items } = await readFeed(client, `/applications/${of}/changes`, { since });
    expect(items).toEqual([
      {
        type: 'chat.deleted',
        changeNumber: expect.any(Number),
        date: expect.any(String),
        token: of,
        chatNumber,
      },
    ]);
  });
});
