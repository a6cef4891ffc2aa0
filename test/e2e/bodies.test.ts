import { beforeAll, describe, expect, it } from 'vitest';
import { limits } from '#lib/domain/limits.ts';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  type Listed,
  messagesPath,
  readAll,
} from '../support/client.ts';
import { createUser, eventually, query, withRedis } from '../support/servers.ts';

/** Bodies without a searchable word have an additional one. */
const bodies: [what: string, body: string, word?: string][] = [
  ['one character', 'x', 'x'],
  ['one character beyond the basic plane', '𝒳'],
  ['blanks alone', ' \t\r\n '],
  ['blanks around', '\n  kept as sent  \r\n', 'kept'],
  ['emoji', 'ship it 🚀👩‍👩‍👧‍👦🏳️‍🌈 👍🏽', 'ship'],
  ['right to left', 'مرحبا بالعالم \u200f(שלום עולם)', 'مرحبا'],
  ['Chinese, Japanese, Korean', '你好，世界 こんにちは 안녕하세요', '世界'],
  ['combining marks, not composed', 'e\u0301 Å \u1e9b\u0323', 'e\u0301'],
  ['NUL and other control characters', 'a\u0000b\u0001\u001f\u007f\u2028\u2029\ufeff end', 'end'],
  [
    'text that is code elsewhere',
    `'; DROP TABLE messages; -- \\" <script>alert(1)</script> \${x} {{y}} %s \\0 %00`,
    'script',
  ],
  ['JSON in JSON', '{"commandId":1}', 'commandId'],
  ['noncharacters', '\uffff\ufffe\u{10ffff} bound', 'bound'],
  ['the longest there may be', `longest ${'x'.repeat(limits.body - 8)}`, 'longest'],
  ['the longest in bytes', '€'.repeat(limits.body)],
  ['the longest, escaped six to one', '\u0001'.repeat(limits.body)],
];

let client: Client;
let token: string;
let path: string;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  token = await createApplication(client);
  await createChat(client, token);
  path = messagesPath(token, 1);
});

const listed = async () => {
  const { items } = await readAll<Listed>(client, `${path}?limit=5`);
  return items.sort((a, b) => a.messageNumber - b.messageNumber).map(({ body }) => body);
};

describe('a body is returned exactly as it was sent', () => {
  const sent = bodies.map(([, body]) => body);

  it('at once, before it is stored', async () => {
    for (const body of sent) await createMessage(client, token, 1, body);
    expect(await listed()).toEqual(sent);
    for (const [i, body] of sent.entries()) {
      expect((await client.get<Listed>(`${path}/${i + 1}`)).body.body).toBe(body);
    }
  });

  it('from MySQL, once nothing is left in Redis', async () => {
    await eventually(async () => {
      const rows = await query<{ body: string }>(
        'SELECT body FROM messages WHERE token = ? ORDER BY number',
        [token],
      );
      expect(rows.map(({ body }) => body)).toEqual(sent);
    });
    await withRedis(async (redis, key) => {
      expect(await redis.exists(key(`${token}:1:pending`))).toBe(0);
      await redis.del(key(`${token}:1:order`), key(`${token}:1:entries`));
    });
    expect((await client.get<Listed>(`${path}/1`)).body.body).toBe(sent[0]);
    expect(await listed()).toEqual(sent);
  });

  it.each(bodies.flatMap(([what, body, word]) => (word === undefined ? [] : [[what, body, word] as const])))(
    'from search: %s',
    async (_what, body, word) => {
      await eventually(async () => {
        const found = await client.get<Listed[]>(`${path}/search?q=${encodeURIComponent(word)}&limit=100`);
        expect(found.body.map((hit) => hit.body)).toContain(body);
      });
    },
  );

  it('after an edit too', async () => {
    const number = await createMessage(client, token, 1, 'to be edited');
    for (const body of sent) {
      expect((await client.put(`${path}/${number}`, { body })).status).toBe(200);
      expect((await client.get<Listed>(`${path}/${number}`)).body.body).toBe(body);
    }
    await eventually(async () =>
      expect(
        await query('SELECT body FROM messages WHERE token = ? AND number = ?', [token, number]),
      ).toEqual([{ body: sent.at(-1) }]),
    );
  });
});

it('names and titles come back with single spaces between words, and otherwise as sent', async () => {
  const sent = '\u2003 🦉 عنوان\u00a0\u3000標題 \u200f e\u0301\u202f';
  const text = '🦉 عنوان 標題 \u200f e\u0301';
  const named = await createApplication(client, sent);
  await createChat(client, named, sent);
  const check = async () => {
    expect((await client.get(`/applications/${named}`)).body).toEqual({
      token: named,
      name: text,
      chatsCount: 1,
    });
    expect((await client.get(`/applications/${named}/chats/1`)).body).toEqual({
      chatNumber: 1,
      title: text,
      messagesCount: 0,
      unreadCount: 0,
    });
  };
  await check();
  await eventually(async () =>
    expect(await query('SELECT title FROM chats WHERE token = ?', [named])).toEqual([{ title: text }]),
  );
  await withRedis((redis, key) => redis.del(key(`${named}:application`)));
  await check();
  expect((await client.put(`/applications/${named}`, { name: ' New\u2003\u2003name ' })).status).toBe(200);
  expect((await client.get(`/applications/${named}`)).body).toMatchObject({ name: 'New name' });
});
