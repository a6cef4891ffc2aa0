import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  type Listed,
  messagesPath,
  readAll,
} from '../support/client.ts';
import { createUsers, eventually, invoke, query, withRedis } from '../support/servers.ts';

const CLIENTS = 300;
const HOT_MESSAGES = 600;

/** Each of the clients at once, and each but one thing at a time, as browsers do. */
const atOnce = <Result>(clients: readonly Client[], work: (client: Client, i: number) => Promise<Result>) =>
  Promise.all(clients.map(work));

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);

describe(`${CLIENTS} clients at once`, () => {
  let clients: Client[];
  let token: string;
  let cold: { chatNumber: number; messageNumber: number; body: string }[];
  let hot: Map<number, string>;

  beforeAll(async () => {
    const users = await createUsers(upTo(CLIENTS).map((i) => `User ${i}`));
    clients = users.map(({ client }) => client);
    const [first] = clients;
    if (first === undefined) throw new Error('No clients');
    token = await createApplication(first, 'Busy');
  });

  it('create chats in one application: numbers exactly 1…n', async () => {
    const numbers = await atOnce(clients, (client, i) => createChat(client, token, `Chat of user ${i + 1}`));
    expect(sorted(numbers)).toEqual(upTo(CLIENTS));
  });

  it("send to one chat: numbers are exactly 1…n, and each body has the number in its sender's answer", async () => {
    hot = new Map();
    await atOnce(clients, async (client, i) => {
      for (let turn = 0; turn < HOT_MESSAGES / CLIENTS; turn += 1) {
        const body = `hotword from ${i + 1}, turn ${turn}`;
        hot.set(await createMessage(client, token, 1, body), body);
      }
    });
    expect(sorted([...hot.keys()])).toEqual(upTo(HOT_MESSAGES));
    const [reader] = clients;
    if (reader === undefined) throw new Error('No clients');
    const { items } = await readAll<Listed>(reader, `${messagesPath(token, 1)}?limit=100`);
    expect(items).toHaveLength(HOT_MESSAGES);
    for (const { messageNumber, body } of items) expect(body).toBe(hot.get(messageNumber));
  });

  it('create chats and send to them in one go, all mixed', async () => {
    cold = await atOnce(clients, async (client, i) => {
      const chatNumber = await createChat(client, token);
      const body = `coldword from ${i + 1}`;
      return { chatNumber, body, messageNumber: await createMessage(client, token, chatNumber, body) };
    });
    expect(sorted(cold.map(({ chatNumber }) => chatNumber))).toEqual(upTo(2 * CLIENTS).slice(CLIENTS));
    expect(new Set(cold.map(({ messageNumber }) => messageNumber))).toEqual(new Set([1]));
  });

  it('all of it is in MySQL, once', async () => {
    const rows = await eventually(async () => {
      const stored = await query<{ chat_number: number; number: number; body: string }>(
        'SELECT chat_number, number, body FROM messages WHERE token = ?',
        [token],
      );
      expect(stored).toHaveLength(HOT_MESSAGES + CLIENTS);
      return stored;
    });
    const inHot = rows.filter(({ chat_number }) => chat_number === 1);
    expect(new Map(inHot.map(({ number, body }) => [number, body]))).toEqual(hot);
    expect(
      new Map(rows.filter(({ chat_number }) => chat_number !== 1).map((row) => [row.chat_number, row.body])),
    ).toEqual(new Map(cold.map(({ chatNumber, body }) => [chatNumber, body])));
    const chats = await query<{ number: number }>(
      'SELECT number FROM chats WHERE token = ? ORDER BY number',
      [token],
    );
    expect(chats.map(({ number }) => number)).toEqual(upTo(2 * CLIENTS));
  });

  it('all of it is found, once', async () => {
    const [reader] = clients;
    if (reader === undefined) throw new Error('No clients');
    await eventually(async () => {
      const { items } = await readAll<Listed>(reader, `${messagesPath(token, 1)}/search?q=hotword&limit=100`);
      expect(sorted(items.map(({ messageNumber }) => messageNumber))).toEqual(upTo(HOT_MESSAGES));
    });
    await eventually(async () => {
      for (const { chatNumber, body } of cold.slice(0, 20)) {
        const found = await reader.get(`${messagesPath(token, chatNumber)}/search?q=coldword`);
        expect(found.body).toMatchObject([{ messageNumber: 1, body }]);
      }
    });
  });

  it('the counts are right after one sync', async () => {
    await invoke('syncCounts');
    expect(await query('SELECT chats_count FROM applications WHERE token = ?', [token])).toEqual([
      { chats_count: 2 * CLIENTS },
    ]);
    const counts = await query<{ number: number; messages_count: number }>(
      'SELECT number, messages_count FROM chats WHERE token = ? AND messages_count > 0',
      [token],
    );
    expect(new Map(counts.map(({ number, messages_count }) => [number, messages_count]))).toEqual(
      new Map([[1, HOT_MESSAGES], ...cold.map(({ chatNumber }) => [chatNumber, 1] as const)]),
    );
  });

  it('no command of it is left in a queue, and none became a dead letter', async () => {
    const letters = await invoke('deadLetters', { action: 'list' });
    expect(JSON.stringify(letters)).not.toContain(token);
    await withRedis(async (redis, key) => {
      for (const queue of ['create-application', 'create-chat', 'create-message']) {
        expect(JSON.stringify(await redis.xrange(key(`outbox:${queue}`), '-', '+'))).not.toContain(token);
      }
    });
  });
});
