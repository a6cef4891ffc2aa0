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
import { createUser, eventually } from '../support/servers.ts';

type Hit = { messageNumber: number; body: string; createdAt: string };

let client: Client;
let handle: string;
let token: string;
let path: string;
beforeAll(async () => {
  ({ client, handle } = await createUser('Ada'));
  token = await createApplication(client);
  await createChat(client, token);
  await createChat(client, token);
  path = `${messagesPath(token, 1)}/search`;
  await createMessage(client, token, 1, 'The quick brown fox', '2024-05-01T12:00:00.123Z');
  await createMessage(client, token, 1, 'A foxglove in the garden');
  await createMessage(client, token, 1, 'Crème brûlée, s’il vous plaît');
  await createMessage(client, token, 2, 'The fox of another chat');
  for (let i = 4; i <= 15; i += 1) await createMessage(client, token, 1, `pagination ${i}`);
  await eventually(async () => {
    expect((await client.get<Hit[]>(`${path}?q=pagination&limit=100`)).body).toHaveLength(12);
    expect((await client.get<Hit[]>(`${messagesPath(token, 2)}/search?q=fox`)).body).toHaveLength(1);
  });
});

const find = async (q: string) =>
  (await client.get<Hit[]>(`${path}?q=${encodeURIComponent(q)}`)).body.map(
    ({ messageNumber }) => messageNumber,
  );

describe.each([
  [
    'GET …/messages/search',
    () => ({ sender: handle, senderName: 'Ada' }),
    (q: string, more = '') => `${path}?q=${encodeURIComponent(q)}${more}`,
  ],
  [
    'GET /search',
    () => ({}),
    (q: string, more = '') =>
      `/search?application_token=${token}&chat_number=1&body=${encodeURIComponent(q)}${more}`,
  ],
])('%s', (_route, sender, request) => {
  it('answers number, body and createdAt of the matches in the chat, best match first', async () => {
    const reply = await client.get<Hit[]>(request('fox'));
    expect(reply.status).toBe(200);
    expect(reply.body[0]).toEqual({
      messageNumber: 1,
      ...sender(),
      body: 'The quick brown fox',
      createdAt: '2024-05-01T12:00:00.123Z',
    });
    expect(reply.body.map(({ messageNumber }) => messageNumber)).toEqual([1, 2]);
    expect((await client.get(request('nowhere-to-be-found'))).body).toEqual([]);
  });

  it('links to the next page, to the end', async () => {
    const first = await client.get<Hit[]>(request('pagination'));
    expect(first.body).toHaveLength(10);
    expect(nextPath(first)).toContain('page=2');
    const { items, pages } = await readAll<Hit>(client, request('pagination', '&limit=5'));
    expect(pages).toBe(3);
    expect(items.map(({ messageNumber }) => messageNumber).sort((a, b) => a - b)).toEqual([
      4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ]);
  });

  it('finds an edited message by its new words, not by its old', async () => {
    const number = await createMessage(client, token, 1, 'xylophone');
    await eventually(async () => expect(await find('xylophone')).toEqual([number]));
    await client.put(`${messagesPath(token, 1)}/${number}`, { body: 'vibraphone' });
    await eventually(async () => {
      expect((await client.get<Hit[]>(request('vibraphone'))).body.map((hit) => hit.messageNumber)).toContain(
        number,
      );
      expect((await client.get<Hit[]>(request('xylophone'))).body).toEqual([]);
    });
  });
});

it('finds whole words, beginnings of words, and leaves case and accents aside', async () => {
  expect(await find('FOX')).toEqual([1, 2]);
  expect(await find('qui')).toEqual([1]);
  expect(await find('creme brulee')).toEqual([3]);
  expect(await find('BRÛL')).toEqual([3]);
});

it('takes a trailing slash', async () => {
  expect((await client.get<Hit[]>(`${path}/?q=fox`)).body).toHaveLength(2);
  const older = `/search/?application_token=${token}&chat_number=1&body=fox`;
  expect((await client.get<Hit[]>(older)).body).toHaveLength(2);
});
