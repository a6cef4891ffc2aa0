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

describe('filters', () => {
  type Found = Hit & { chatNumber?: number; sender: string; senderName: string };
  let app: string;
  let grace: { client: Client; handle: string };
  const day = (number: number) => `2024-05-0${number}T12:00:00Z`;
  const search = (query: Record<string, string>, of = `${messagesPath(app, 1)}/search`) =>
    client.get<Found[]>(`${of}?${new URLSearchParams(query)}`);
  const numbersFor = async (query: Record<string, string>) =>
    (await search(query)).body.map(({ messageNumber }) => messageNumber);
  const everywhere = () => `/applications/${app}/messages/search`;

  beforeAll(async () => {
    grace = await createUser('Grace');
    app = await createApplication(client);
    await createChat(client, app);
    await createChat(client, app);
    await createMessage(client, app, 1, 'kettle of Ada', day(1));
    await createMessage(grace.client, app, 1, 'kettle of Grace', day(2));
    await createMessage(client, app, 1, 'teapot of Ada', day(3));
    await createMessage(grace.client, app, 1, 'another kettle, kettle', day(4));
    await createMessage(grace.client, app, 2, 'kettle in the other chat', day(5));
    await eventually(async () =>
      expect((await search({ q: 'kettle teapot', limit: '100' }, everywhere())).body).toHaveLength(5),
    );
  });

  it('find the messages of a person, newest first, with or without words', async () => {
    expect(await numbersFor({ sender: grace.handle })).toEqual([4, 2]);
    expect(await numbersFor({ sender: handle })).toEqual([3, 1]);
    expect(await numbersFor({ sender: handle, q: 'kettle' })).toEqual([1]);
    expect(await numbersFor({ sender: 'nobody' })).toEqual([]);
    expect(await numbersFor({ sender: 'nobodynobodynobo' })).toEqual([]);
  });

  it('find what was sent from one time on and before another, in any offset', async () => {
    expect(await numbersFor({ q: 'kettle', from: day(2), to: day(4) })).toEqual([2]);
    expect(await numbersFor({ q: 'kettle', from: '2024-05-02T14:00:00+02:00' })).toEqual([4, 2]);
    expect(await numbersFor({ q: 'kettle', to: day(2) })).toEqual([1]);
    expect(await numbersFor({ q: 'kettle', from: day(4), to: day(2) })).toEqual([]);
    expect(await numbersFor({ sender: handle, from: day(2) })).toEqual([3]);
  });

  it('order by the best match, or by time', async () => {
    const best = await numbersFor({ q: 'kettle ada' });
    expect(best[0]).toBe(1);
    expect(await numbersFor({ q: 'kettle ada', sort: 'best' })).toEqual(best);
    expect(await numbersFor({ q: 'kettle ada', sort: 'newest' })).toEqual([4, 3, 2, 1]);
  });

  it('search all chats of an application, and show the chat of each message', async () => {
    const { body } = await search({ q: 'kettle', sort: 'newest' }, everywhere());
    expect(body.map(({ chatNumber, messageNumber }) => [chatNumber, messageNumber])).toEqual([
      [2, 1],
      [1, 4],
      [1, 2],
      [1, 1],
    ]);
    expect(body[0]).toEqual({
      chatNumber: 2,
      messageNumber: 1,
      sender: grace.handle,
      senderName: 'Grace',
      body: 'kettle in the other chat',
      createdAt: '2024-05-05T12:00:00.000Z',
    });
    expect((await search({ q: 'kettle' })).body[0]).not.toHaveProperty('chatNumber');
    expect((await search({ q: 'kettle' }, '/applications/no-such-application/messages/search')).status).toBe(
      404,
    );
  });

  it('of an application link by cursor from the second page on, which reads all of them once', async () => {
    const path = `${everywhere()}?q=kettle&limit=1`;
    expect(nextPath(await client.get(path))).toMatch(/\?(?!.*page=).*after=/);
    const { items, pages } = await readAll<Found>(client, path);
    expect(pages).toBe(4);
    expect(new Set(items.map(({ chatNumber, messageNumber }) => `${chatNumber}:${messageNumber}`)).size).toBe(
      4,
    );
  });

  it('of a cursor are part of it: a cursor of another search is refused', async () => {
    const first = await search({ q: 'kettle', limit: '1' }, everywhere());
    const cursor = new URLSearchParams(nextPath(first)?.split('?')[1]).get('after') ?? '';
    expect((await search({ q: 'kettle', after: cursor }, everywhere())).status).toBe(200);
    expect((await search({ q: 'kettle', sort: 'best', after: cursor }, everywhere())).status).toBe(200);
    for (const other of [
      { q: 'kettles' },
      { q: 'kettle', sender: handle },
      { q: 'kettle', from: day(1) },
      { q: 'kettle', to: day(5) },
      { q: 'kettle', sort: 'newest' },
    ])
      expect(await search({ ...other, after: cursor }, everywhere())).toMatchObject({
        status: 400,
        body: { errors: [{ path: 'after' }] },
      });
    expect((await search({ q: 'kettle', after: cursor })).status).toBe(400);
  });

  it.each<[string, Record<string, string>]>([
    ['q', {}],
    ['q', { from: day(1) }],
    ['sort', { sender: 'nobody', sort: 'best' }],
    ['from', { q: 'kettle', from: 'yesterday' }],
  ])('name %s where it is wrong or missing', async (field, query) => {
    for (const path of [undefined, everywhere()])
      expect(await search(query, path)).toMatchObject({ status: 400, body: { errors: [{ path: field }] } });
  });

  it('are no part of the older form, nor upTo of an application', async () => {
    const older = { application_token: app, chat_number: '1', body: 'kettle' };
    for (const more of [{ sender: handle }, { from: day(1) }, { sort: 'newest' }] as Record<string, string>[])
      expect((await search({ ...older, ...more }, '/search')).status).toBe(400);
    expect((await search({ q: 'kettle', upTo: '1' }, everywhere())).status).toBe(400);
    expect(
      (await search({ ...older, upTo: '2' }, '/search')).body.map(({ messageNumber }) => messageNumber),
    ).toEqual([2, 1]);
  });
});
