import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  type Listed,
  messagesPath,
  nextPath,
} from '../support/client.ts';
import { apiEvent } from '../support/http-event.ts';
import { createUser, eventually, invoke } from '../support/servers.ts';

const COUNT = 70;
const maxBytes = 4_000_000;

let client: Client;
let token: string;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  token = await createApplication(client);
  await createChat(client, token);
  // Each takes six bytes a character as JSON; the word makes it a hit.
  const body = `needle ${'\u0001'.repeat(15_993)}`;
  for (let sent = 0; sent < COUNT; sent += 10) {
    await Promise.all(Array.from({ length: 10 }, () => createMessage(client, token, 1, body)));
  }
});

/** Follows the links from `path`. @returns the numbers of each page */
const readPages = async (path: string): Promise<number[][]> => {
  const pages: number[][] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const reply = await client.get<Pick<Listed, 'messageNumber'>[]>(next);
    expect(reply.status).toBe(200);
    expect(Buffer.byteLength(reply.text)).toBeLessThanOrEqual(maxBytes);
    pages.push(reply.body.map(({ messageNumber }) => messageNumber));
    next = nextPath(reply);
  }
  return pages;
};

const all = Array.from({ length: COUNT }, (_, at) => COUNT - at);

describe('pages of the longest messages end at 4 MB, and links lead through all of them', () => {
  it('as they are listed', async () => {
    const pages = await readPages(`${messagesPath(token, 1)}?limit=100`);
    expect(pages).toHaveLength(2);
    expect(pages.flat()).toEqual(all);
  });

  it('as they are listed oldest first', async () => {
    const pages = await readPages(`${messagesPath(token, 1)}?after=start&limit=100`);
    expect(pages).toHaveLength(2);
    expect(pages.flat()).toEqual(all.toReversed());
  });

  it.each([
    ['GET …/messages/search', () => `${messagesPath(token, 1)}/search?q=needle&limit=100&highlight=true`],
    [
      'GET …/messages/search of the application',
      () => `/applications/${token}/messages/search?q=needle&limit=100`,
    ],
    ['GET /search', () => `/search?application_token=${token}&chat_number=1&body=needle&limit=100`],
  ])('as %s finds them', async (_route, path) => {
    await eventually(async () => expect((await readPages(path())).flat().sort((a, b) => b - a)).toEqual(all));
    const pages = await readPages(path());
    expect(pages.length).toBeGreaterThan(1);
    expect(new Set(pages.flat()).size).toBe(COUNT);
  });

  it('and begin at their own place by number', async () => {
    const reply = await client.get<Listed[]>(`${messagesPath(token, 1)}?limit=50&page=2`);
    expect(reply.body[0]?.messageNumber).toBe(COUNT - 50);
    expect(nextPath(reply)).toBeUndefined();
  });
});

describe('the answer of the function', () => {
  /** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
  const maxAnswerBytes = 6_291_556;
  /** The unit test of `respond` has more signs. The index takes long for thousands of words a message. */
  const signs = { quotes: '"' };

  const askFunction = async (key: string, path: string, query: Record<string, string>, of: string) => {
    const event = apiEvent(
      { method: 'GET', path },
      {
        headers: { authorization: `Bearer ${client.accessToken}` },
        pathParameters: { token: of, chatNumber: '1' },
        queryStringParameters: query,
        rawQueryString: new URLSearchParams(query).toString(),
      },
    );
    const answer = await invoke(key, event);
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(maxAnswerBytes);
    expect(answer).toMatchObject({ statusCode: 200 });
  };

  it.each(Object.entries(signs))(
    'is small enough for Lambda, and full: %s',
    { timeout: 180_000 },
    async (_what, sign) => {
      const of = await createApplication(client);
      await createChat(client, of);
      const body = `thimble ${sign.repeat(15_992)}`;
      for (let sent = 0; sent < 100; sent += 10)
        await Promise.all(Array.from({ length: 10 }, () => createMessage(client, of, 1, body)));
      const path = messagesPath(of, 1);
      const { text, body: items } = await client.get<Listed[]>(`${path}?limit=100`);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
      if (items.length < 100)
        expect(Buffer.byteLength(text) * (1 + 1 / items.length)).toBeGreaterThan(maxBytes);
      expect(new Set(items.map((item) => item.body))).toEqual(new Set([body]));
      await askFunction('listMessages', path, { limit: '100' }, of);
      const search = `${path}/search`;
      const hits = async () => {
        const reply = await client.get<Listed[]>(`${search}?q=thimble&limit=100&highlight=true`);
        return reply.body.length;
      };
      // The index takes the long messages of all tests at once.
      await expect.poll(hits, { timeout: 90_000, interval: 500 }).toBeGreaterThanOrEqual(items.length / 2);
      for (const highlight of ['true', 'false'])
        await askFunction('searchMessages', search, { q: 'thimble', limit: '100', highlight }, of);
    },
  );
});

describe('a cursor that does not fit is refused by its name', () => {
  it.each([
    ['before', () => `${messagesPath(token, 1)}?before=1.1.AAAAAAAAAAAAAAAA`],
    ['after', () => `${messagesPath(token, 1)}/search?q=needle&after=1.1.1.1.AAAAAAAAAAAAAAAA`],
    ['after', () => `/search?application_token=${token}&chat_number=1&body=needle&after=nonsense`],
    ['after', () => `${messagesPath(token, 1)}/search?q=needle&page=1&after=1.1.1.1.AAAAAAAAAAAAAAAA`],
  ])('%s', async (name, path) => {
    const { status, body } = await client.get<{ errors: { path: string }[] }>(path());
    expect([status, body.errors.map(({ path }) => path)]).toEqual([400, [name]]);
  });

  it('as are the fields of GET /search', async () => {
    const { status, body } = await client.get<{ errors: { path: string }[] }>(
      '/search?application_token=%20&chat_number=x',
    );
    expect([status, body.errors.map(({ path }) => path).sort()]).toEqual([
      400,
      ['application_token', 'body', 'chat_number'],
    ]);
  });
});
