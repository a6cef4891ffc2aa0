import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { IndexRetryLater, SearchUnavailable } from '#lib/opensearch/errors.ts';
import { createMessageIndex, type MessageIndex } from '#lib/opensearch/index/message-index.ts';
import { messageIndexBody } from '#lib/opensearch/index/message-index-body.ts';
import { createIndexContents, type IndexContents } from '../support/index-contents.ts';

const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const base = `${inject('names').indexPrefix}rebuild-`;
let runs = 0;
let prefix: string;
/** Two processes. */
let index: MessageIndex & IndexContents;
let other: MessageIndex;

const message = (messageNumber: number, body: string, version: number): IndexableMessage => ({
  token: 't',
  chatNumber: 1,
  messageNumber,
  senderName: 'ana',
  body,
  createdAt: '2026-01-01T00:00:00.000Z',
  version,
});

/** As the consumer does: a batch that could not be written comes again. */
const written = async (writer: MessageIndex, batch: IndexableMessage[]): Promise<void> => {
  try {
    await writer.write(batch);
  } catch (error) {
    if (!(error instanceof IndexRetryLater)) throw error;
    await written(writer, batch);
  }
};

const indices = async () => Object.keys((await client.indices.get({ index: `${prefix}*` })).body).sort();

const held = async () => {
  await index.refresh();
  const listed = await index.listVersions({ token: 't', chatNumber: 1 });
  return new Map(listed.map(({ messageNumber, version }) => [messageNumber, version]));
};

beforeEach(async () => {
  prefix = `${base}${++runs}-`;
  const create = () => createMessageIndex({ client, prefix, writeTimeoutMs: 2_000 });
  [index, other] = [{ ...create(), ...createIndexContents(client, prefix) }, create()];
  await index.prepare();
});

afterAll(async () => {
  await client.indices.delete({ index: `${base}*` });
  await client.close();
});

describe('a rebuild', () => {
  test('loses no concurrent write and no concurrent edit', async () => {
    /** The rows of a stand-in for MySQL. Each row exists before the index gets it. */
    const rows = new Map<number, IndexableMessage>();
    let version = 0;
    let stop = false;
    const writers = [index, other].map(async (writer, writerAt) => {
      for (let round = 0; !stop; round++) {
        const batch = Array.from({ length: 20 }, (_, at) => {
          // Every second write edits an earlier message.
          const number =
            writerAt * 100_000 + (at % 2 ? round * 10 + at : Math.floor(round / 2) * 10 + at) + 1;
          return message(number, `round ${round}`, ++version);
        });
        for (const row of batch) rows.set(row.messageNumber, row);
        await written(writer, batch);
      }
    });

    const rebuild = await index.beginRebuild();
    const snapshot = [...rows.values()];
    for (let at = 0; at < snapshot.length; at += 100) await rebuild.write(snapshot.slice(at, at + 100));
    await rebuild.finish();
    stop = true;
    await Promise.all(writers);

    expect(await indices()).toEqual([`${prefix}messages-000002`]);
    const expected = new Map([...rows.values()].map((row) => [row.messageNumber, row.version]));
    expect(expected.size).toBeGreaterThan(100);
    const found = await held();
    expect(found.size).toBe(expected.size);
    expect([...expected].filter(([number, wanted]) => found.get(number) !== wanted)).toEqual([]);
  });

  test('does not show an unfinished index, and drops documents without a row', async () => {
    await index.write([message(1, 'kept', 1), message(2, 'stale', 1)]);
    const rebuild = await index.beginRebuild();
    await rebuild.write([message(1, 'kept', 1)]);
    expect([...(await held()).keys()]).toEqual([1, 2]);
    await rebuild.finish();
    expect([...(await held()).keys()]).toEqual([1]);
    await rebuild.finish();
    expect(await indices()).toEqual([`${prefix}messages-000002`]);
  });

  test('can be picked up where it was left', async () => {
    const left = await index.beginRebuild();
    expect(left.cursor).toBeUndefined();
    await left.write([message(1, 'one', 1)]);
    await left.save('row 1');
    const picked = await other.beginRebuild();
    expect(picked).toMatchObject({ index: left.index, cursor: 'row 1' });
    await picked.write([message(2, 'two', 1)]);
    await picked.finish();
    expect([...(await held()).keys()]).toEqual([1, 2]);
  });

  test('begun twice at once is one', async () => {
    const both = await Promise.all([index.beginRebuild(), other.beginRebuild()]);
    expect(new Set(both.map((rebuild) => rebuild.index)).size).toBe(1);
    await both[0].finish();
    expect(await indices()).toEqual([`${prefix}messages-000002`]);
  });

  test('can be abandoned; writers do not notice, and no other run can finish it', async () => {
    const rebuild = await index.beginRebuild();
    await other.write([message(1, 'one', 1)]);
    await rebuild.abandon();
    await other.write([message(2, 'two', 1)]);
    await expect(rebuild.write([message(3, 'three', 1)])).rejects.toThrow(IndexRetryLater);
    await expect(rebuild.finish()).rejects.toThrow(SearchUnavailable);
    expect([...(await held()).keys()]).toEqual([1, 2]);
    expect(await indices()).toEqual([`${prefix}messages-000001`]);
  });

  test('replaces an index of an older schema, which takes and shows messages until then', async () => {
    await client.indices.delete({ index: `${prefix}messages-000001` });
    const { settings, mappings } = messageIndexBody({ shards: 1, replicas: 0, refreshIntervalMs: 500 });
    const { chat, messageNumber, createdAt, body } = mappings.properties;
    const { joined: _joined, ...fields } = body.fields;
    // As schema 1 was: of four fields, without joined words, with smaller numbers, and with times that no query uses.
    const older = {
      ...mappings,
      _meta: { schema: 1 },
      properties: {
        chat,
        messageNumber: { ...messageNumber, type: 'integer' },
        createdAt: { ...createdAt, index: false },
        body: { ...body, fields },
      },
    };
    const { max_result_window: _window, merge, ...olderSettings } = settings;
    await client.transport.request({
      method: 'PUT',
      path: `/${prefix}messages-000001`,
      body: { settings: olderSettings, mappings: older, aliases: { [`${prefix}messages`]: {} } },
    });

    expect(await index.prepare()).toEqual({ outdated: true });
    const { body: set } = await client.indices.getSettings({ index: `${prefix}messages-000001` });
    const { segments_per_tier } = merge.policy;
    expect(set[`${prefix}messages-000001`]?.settings).toMatchObject({
      index: { merge: { policy: { segments_per_tier: String(segments_per_tier) } } },
    });
    const sent = message(1, '\u{1D412}ale ends :) call +49 (170) 123-4567', 1);
    expect(await index.write([sent])).toEqual({ refused: [] });
    await index.refresh();
    const find = async (text: string) => {
      const wanted = { token: 't', chatNumber: 1, text, limit: 10 };
      expect((await index.search({ ...wanted, page: 1_000 })).hits).toEqual([]);
      return (await index.search({ ...wanted, highlight: true })).hits.map(({ body }) => body);
    };
    expect(await find('sale')).toEqual([sent.body]);
    expect(await find('"sale ends"')).toEqual([sent.body]);
    expect(await find('1701234567')).toEqual([sent.body]);

    const rebuild = await index.beginRebuild();
    await rebuild.write([sent]);
    await rebuild.finish();
    expect(await index.prepare()).toEqual({ outdated: false });
    await index.refresh();
    expect(await find('"sa-le ends"')).toEqual([sent.body]);
    const { body: now } = await client.indices.getMapping({ index: rebuild.index });
    expect(now[rebuild.index]?.mappings.properties).toMatchObject({ messageNumber: { type: 'long' } });
  });
});
