import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from '@opensearch-project/opensearch';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import { IndexRetryLater, SearchUnavailable } from '#lib/opensearch/errors.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { createIndexContents } from '../support/index-contents.ts';

const url = inject('urls').OPENSEARCH_URL ?? '';
const client = new Client({ node: url });
const prefix = `${inject('names').indexPrefix}write-`;
const index = {
  ...createMessageIndex({ client, prefix, refreshIntervalMs: 200, writeTimeoutMs: 25_000 }),
  ...createIndexContents(client, prefix),
};

const token = 't';
let chats = 0;

const message = (
  chatNumber: number,
  messageNumber: number,
  body: string,
  version: number,
): IndexableMessage => ({
  token,
  chatNumber,
  messageNumber,
  senderName: 'ana',
  body,
  createdAt: '2026-01-01T00:00:00.000Z',
  version,
});

const find = async (chatNumber: number, text: string) => {
  const { hits } = await index.search({ token, chatNumber, text, page: 1, limit: 100 });
  return hits.map(({ messageNumber }) => messageNumber);
};

/** Servers that give prepared answers instead of OpenSearch, or before it. */
const servers: Server[] = [];
const through = async (listener: RequestListener, writeTimeoutMs = 1_000) => {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return createMessageIndex({
    client: new Client({ node: `http://127.0.0.1:${port}` }),
    prefix,
    searchTimeoutMs: 300,
    writeTimeoutMs,
  });
};

const json =
  (status: number, body: object): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

beforeAll(async () => {
  await index.prepare();
});

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

describe('prepare', () => {
  test('makes one index, however often and however many at once', async () => {
    const name = `${prefix}twice-`;
    const prepare = () => createMessageIndex({ client, prefix: name }).prepare();
    expect(await Promise.all(Array.from({ length: 8 }, prepare))).toEqual(Array(8).fill({ outdated: false }));
    expect(await prepare()).toEqual({ outdated: false });
    const { body } = await client.indices.get({ index: `${name}*` });
    expect(Object.entries(body).map(([made, { aliases }]) => [made, Object.keys(aliases ?? {})])).toEqual([
      [`${name}messages-000001`, [`${name}messages`]],
    ]);
  });

  test('tells when the index is of an older schema', async () => {
    const name = `${prefix}older-`;
    const older = createMessageIndex({ client, prefix: name });
    await older.prepare();
    await client.indices.putMapping({ index: `${name}messages`, body: { _meta: { schema: 0 } } });
    expect(await older.prepare()).toEqual({ outdated: true });
  });
});

describe('write', () => {
  test('is seen by search without a refresh asked for', async () => {
    const chat = ++chats;
    await index.write([message(chat, 1, 'hello', 1)]);
    await expect.poll(() => find(chat, 'hello'), { timeout: 10_000 }).toEqual([1]);
  });

  test('keeps the newest version, in any order and with repetitions', async () => {
    const chat = ++chats;
    const edits = [3, 1, 5, 2, 5, 4].map((version) => message(chat, 1, `edit number${version}`, version));
    await index.write(edits.slice(0, 2));
    await index.write(edits.slice(2));
    await index.refresh();
    expect(await find(chat, 'number5')).toEqual([1]);
    expect(await find(chat, '"number4"')).toEqual([]);
    expect(await index.fetchStates([{ token, chatNumber: chat, messageNumber: 1 }])).toMatchObject(
      new Map([[messageReference({ token, chatNumber: chat, messageNumber: 1 }), { version: 5 }]]),
    );
  });

  test('returns messages that can never be indexed, and writes the rest of their batch', async () => {
    const chat = ++chats;
    const bad = { ...message(chat, 2, 'bad date', 1), createdAt: 'yesterday' };
    const { refused } = await index.write([message(chat, 1, 'good', 1), bad, message(chat, 3, 'good', 1)]);
    expect(refused).toEqual([{ message: bad, reason: expect.stringContaining('createdAt') }]);
    await index.refresh();
    expect(await find(chat, 'good')).toEqual([3, 1]);
  });

  test('splits a batch that is too big for one request', async () => {
    const chat = ++chats;
    const long = 'word '.repeat(3_000);
    await index.write(Array.from({ length: 120 }, (_, at) => message(chat, at + 1, long, 1)));
    const refs = Array.from({ length: 120 }, (_, at) => ({ token, chatNumber: chat, messageNumber: at + 1 }));
    const states = [...(await index.fetchStates(refs)).values()];
    expect(states.map(({ version }) => version)).toEqual(refs.map(() => 1));
  });

  test('nothing is done for no messages', async () => {
    expect(await index.write([])).toEqual({ refused: [] });
  });

  test('tries only the temporarily refused messages again', async () => {
    const chat = ++chats;
    let bulks = 0;
    const lines: number[] = [];
    const behindProxy = await through((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', async () => {
        const body = Buffer.concat(chunks);
        const answer = await fetch(new URL(request.url ?? '', url), {
          method: request.method ?? 'GET',
          headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
          ...(body.length > 0 && { body }),
        });
        let text = await answer.text();
        if (request.url?.startsWith('/_bulk')) {
          lines.push(body.toString().trim().split('\n').length);
          if (++bulks === 1) {
            const items = JSON.parse(text) as { items: unknown[] };
            items.items[1] = {
              index: { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'full' } },
            };
            text = JSON.stringify(items);
          }
        }
        response
          .writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
          .end(text);
      });
    }, 20_000);
    const written = await behindProxy.write([1, 2, 3].map((number) => message(chat, number, 'again', 1)));
    expect(written).toEqual({ refused: [] });
    expect(lines).toEqual([6, 2]);
  });

  test.each([
    ['the server is overloaded', json(429, { error: { type: 'circuit_breaking_exception' }, status: 429 })],
    ['the cluster has no manager', json(503, { error: { type: 'cluster_block_exception' }, status: 503 })],
    ['the server never answers', () => {}],
  ])('asks to come again when %s', async (_what, listener) => {
    const broken = await through(listener);
    await expect(broken.write([message(1, 1, 'x', 1)])).rejects.toThrow(IndexRetryLater);
  });

  test('asks to come again while the index takes no writes, and before it exists', async () => {
    const name = `${prefix}blocked-`;
    const blocked = createMessageIndex({ client, prefix: name });
    await expect(blocked.write([message(1, 1, 'x', 1)])).rejects.toThrow(IndexRetryLater);
    expect((await client.indices.exists({ index: `${name}messages` })).body).toBe(false);
    await blocked.prepare();
    const block = (on: boolean) =>
      client.indices.putSettings({ index: `${name}messages`, body: { index: { blocks: { write: on } } } });
    await block(true);
    await expect(blocked.write([message(1, 1, 'x', 1)])).rejects.toThrow(IndexRetryLater);
    await block(false);
    expect(await blocked.write([message(1, 1, 'x', 1)])).toEqual({ refused: [] });
  });
});

describe('the content of the index', () => {
  test('can be compared with the expected content', async () => {
    const chat = ++chats;
    await index.write([1, 2, 4].map((number) => message(chat, number, 'x', number * 10)));
    const refs = [1, 2, 3].map((messageNumber) => ({ token, chatNumber: chat, messageNumber }));
    const states = [...(await index.fetchStates(refs)).values()];
    expect(states.map(({ version }) => version)).toEqual([10, 20]);
    await index.refresh();
    expect(await index.listVersions({ token, chatNumber: chat, afterNumber: 1, limit: 10 })).toEqual([
      { messageNumber: 2, version: 20 },
      { messageNumber: 4, version: 40 },
    ]);
    await index.remove([3, 4].map((messageNumber) => ({ token, chatNumber: chat, messageNumber })));
    await index.refresh();
    expect(await index.listVersions({ token, chatNumber: chat, afterNumber: 0, limit: 1 })).toEqual([
      { messageNumber: 1, version: 10 },
    ]);
    expect(await find(chat, 'x')).toEqual([2, 1]);
  });
});

describe('search is unavailable, soon and plainly, when', () => {
  const search = { token, chatNumber: 1, text: 'x', page: 1, limit: 10 };

  test.each([
    ['the server is overloaded', json(429, { error: { type: 'rejected' }, status: 429 })],
    ['the server is starting', json(503, { error: { type: 'cluster_block_exception' }, status: 503 })],
    ['the server never answers', () => {}],
    ['a proxy answers for it', json(502, {})],
    [
      'the answer stops half way',
      (_request, response) => void response.writeHead(200, { 'content-length': 99 }).write('{'),
    ],
    ['the answer is partial', json(200, { timed_out: true, _shards: { failed: 0 }, hits: { hits: [] } })],
    ['a shard failed', json(200, { timed_out: false, _shards: { failed: 1 }, hits: { hits: [] } })],
  ] satisfies [string, RequestListener][])('%s', async (_what, listener) => {
    const broken = await through(listener);
    await expect(broken.search(search)).rejects.toThrow(SearchUnavailable);
  });

  test('there is no server, until there is one', async () => {
    const server = createServer(json(200, { timed_out: false, _shards: { failed: 0 }, hits: { hits: [] } }));
    const listen = (port: number) =>
      new Promise<number>((resolve) => {
        server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
      });
    const port = await listen(0);
    await new Promise((resolve) => server.close(resolve));
    const lone = createMessageIndex({ client: new Client({ node: `http://127.0.0.1:${port}` }) });
    await expect(lone.search(search)).rejects.toThrow(SearchUnavailable);
    await expect(lone.ping()).rejects.toThrow(SearchUnavailable);
    await listen(port);
    servers.push(server);
    expect(await lone.search(search)).toEqual({ hits: [], hasMore: false });
  });

  test('there is no index yet', async () => {
    const none = createMessageIndex({ client, prefix: `${prefix}none-` });
    await expect(none.search(search)).rejects.toThrow(SearchUnavailable);
    await expect(none.ping()).rejects.toThrow(SearchUnavailable);
  });

  test('a shard is red; writes ask to come again', async () => {
    const name = `${prefix}red-`;
    const red = createMessageIndex({ client, prefix: name, writeTimeoutMs: 1_500 });
    await client.indices.create({
      index: `${name}messages-000001`,
      wait_for_active_shards: '0',
      body: {
        settings: { 'index.routing.allocation.enable': 'none' },
        aliases: { [`${name}messages`]: {} },
      },
    });
    await expect(red.search(search)).rejects.toThrow(SearchUnavailable);
    await expect(red.ping()).rejects.toThrow(SearchUnavailable);
    await expect(red.write([message(1, 1, 'x', 1)])).rejects.toThrow(IndexRetryLater);
    await expect(red.fetchStates([message(1, 1, 'x', 1)])).rejects.toThrow(SearchUnavailable);
  });
});
