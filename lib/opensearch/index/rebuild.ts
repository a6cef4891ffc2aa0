import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@opensearch-project/opensearch';
import { RequestRefused, SearchUnavailable } from '../errors.ts';
import { request } from '../request.ts';
import type { BulkResult, BulkWriter } from './bulk.ts';
import type { IndexedMessage } from './document.ts';
import { addable, dynamicSettings, type messageIndexBody } from './message-index-body.ts';

/**
 * A new index that is filled behind the alias, while search and writes continue.
 *
 * After `begin`, every writer writes to both indexes, because writers look for a rebuild before each bulk request.
 * `begin` returns once all earlier bulk requests have ended; their rows are in MySQL by then. A caller that then reads
 * all of MySQL and passes it to `write` misses no message. Versions prevent older messages from replacing newer ones.
 */
export type Rebuild = {
  /** The new index. */
  index: string;
  /** The cursor of the last {@link save}, if another run began this rebuild; undefined at the start. */
  cursor: string | undefined;
  /** Writes rows read from MySQL into the new index. @throws IndexRetryLater */
  write<Message extends IndexedMessage>(messages: readonly Message[]): Promise<BulkResult<Message>>;
  /** Saves the progress through MySQL, so that another run can continue there. @throws SearchUnavailable */
  save(cursor: string): Promise<void>;
  /** Switches search and writes to the new index at once, then drops the old one. @throws SearchUnavailable */
  finish(): Promise<void>;
  /** Drops the new index. @throws SearchUnavailable */
  abandon(): Promise<void>;
};

type IndexBody = ReturnType<typeof messageIndexBody>;
type Meta = { schema?: number; cursor?: string };
type Mappings = Record<string, { mappings: { _meta?: Meta } }>;

const timeoutMs = 30_000;

export const createRebuilds = (options: {
  client: Client;
  alias: string;
  buildingAlias: string;
  body: IndexBody;
  writeTimeoutMs: number;
  bulk: BulkWriter;
}) => {
  const { client, alias, buildingAlias, body, writeTimeoutMs, bulk } = options;

  /** The index behind an alias and its `_meta`; undefined without one. */
  const behind = async (name: string) => {
    const { body: found, status } = await request<Mappings>(client, {
      method: 'GET',
      path: `/${name}/_mapping`,
      timeoutMs,
      expected: [404],
    });
    const [entry] = status === 404 ? [] : Object.entries(found);
    return entry && { index: entry[0], meta: entry[1].mappings._meta ?? {} };
  };

  const schemaOf = async (name: string) => {
    const found = await behind(name);
    return found && (found.meta.schema ?? 0);
  };

  /** Creates an index and its alias in one step. Succeeds also if another process was faster. */
  const createIndex = async (index: string, name: string) => {
    try {
      await request(client, {
        method: 'PUT',
        path: `/${index}`,
        body: { ...body, aliases: { [name]: {} } },
        timeoutMs,
      });
    } catch (error) {
      const exists = error instanceof RequestRefused && error.type === 'resource_already_exists_exception';
      if (!exists) throw error;
    }
  };

  /** Lets indexes of an older schema store and return the fields of this release, until a rebuild replaces them. */
  const admit = async () => {
    const indices = `${alias},${buildingAlias}`;
    const query = { ignore_unavailable: true };
    const mapping = { properties: addable };
    await request(client, { method: 'PUT', path: `/${indices}/_mapping`, query, body: mapping, timeoutMs });
    const settings = { index: dynamicSettings };
    await request(client, { method: 'PUT', path: `/${indices}/_settings`, query, body: settings, timeoutMs });
  };

  const drop = async (index: string) => {
    await request(client, { method: 'DELETE', path: `/${index}`, timeoutMs, expected: [404] });
  };

  const begin = async (): Promise<Rebuild> => {
    const current = await behind(alias);
    if (!current) throw new SearchUnavailable(`There is no index "${alias}" yet: run the migration first`);
    const next = `${alias}-${String(Number(current.index.slice(-6)) + 1).padStart(6, '0')}`;
    const left = await behind(buildingAlias);
    // A rebuild of an older release would be outdated at once.
    if (left && left.meta.schema !== body.mappings._meta.schema) await drop(left.index);
    await createIndex(next, buildingAlias);
    await delay(writeTimeoutMs + 500);
    const building = await behind(buildingAlias);
    if (!building)
      throw new SearchUnavailable(`The rebuild into "${next}" ended while it was being picked up`);
    return {
      index: building.index,
      cursor: building.meta.cursor,
      write: (messages) => bulk.fill(messages),
      save: async (cursor) => {
        await request(client, {
          method: 'PUT',
          path: `/${building.index}/_mapping`,
          body: { _meta: { ...body.mappings._meta, cursor } },
          timeoutMs,
        });
      },
      finish: async () => {
        // An earlier call already succeeded, but its answer was lost.
        if ((await behind(alias))?.index === building.index) return;
        await request(client, { method: 'POST', path: `/${building.index}/_refresh`, timeoutMs });
        await request(client, {
          method: 'POST',
          path: '/_aliases',
          body: {
            actions: [
              { add: { index: building.index, alias } },
              { remove: { index: building.index, alias: buildingAlias } },
              { remove_index: { index: current.index } },
            ],
          },
          timeoutMs,
        });
      },
      abandon: () => drop(building.index),
    };
  };

  return { admit, begin, createIndex, schemaOf };
};
