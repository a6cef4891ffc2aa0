import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import type { IndexDocument } from '#lib/opensearch/index/document.ts';
import { Failure, messageOf } from '../services/index.ts';
import type { Kept } from './comparison.ts';

/** The messages of an application in one store, read without the API. */
export type Store = {
  name: string;
  count: () => Promise<number>;
  /** All messages of a chat, by number. */
  messages: (chatNumber: number) => Promise<Kept[]>;
  close: () => Promise<void>;
};

export type Counts = { chatsCount: number; messagesCounts: number[] };
export type MysqlStore = Store & { counts: () => Promise<Counts> };

const refused = (what: string, variable: string) => (error: unknown) => {
  throw new Failure(
    `${what} cannot be read for the comparison: ${messageOf(error)}. The demonstration needs to read it: correct ${variable}, or its user's rights (SELECT on all tables; search on the index).`,
  );
};

/** @throws Failure if the server does not answer or denies access */
export const openMysql = async (url: string, token: string): Promise<MysqlStore> => {
  const fail = refused('MySQL', 'MYSQL_URL');
  const connection = await createConnection({ uri: url, timezone: 'Z', charset: 'utf8mb4' }).catch(fail);
  const select = async (sql: string, values: (string | number)[]) => {
    const [rows] = await connection.query<RowDataPacket[]>(sql, values).catch(fail);
    return rows;
  };
  return {
    name: 'MySQL',
    count: async () =>
      Number((await select('SELECT COUNT(*) AS n FROM messages WHERE token = ?', [token]))[0]?.n),
    messages: async (chatNumber) =>
      (
        await select(
          'SELECT number, body, created_at, sender_name FROM messages WHERE token = ? AND chat_number = ? ORDER BY number',
          [token, chatNumber],
        )
      ).map((row) => ({
        messageNumber: row.number,
        body: row.body,
        createdAtMs: row.created_at.getTime(),
        senderName: row.sender_name,
      })),
    counts: async () => {
      const [application] = await select('SELECT chats_count FROM applications WHERE token = ?', [token]);
      const chats = await select('SELECT messages_count FROM chats WHERE token = ? ORDER BY number', [token]);
      return {
        chatsCount: application?.chats_count ?? 0,
        messagesCounts: chats.map((row) => row.messages_count),
      };
    },
    close: () => connection.end(),
  };
};

const PAGE = 2_000;

/** @throws Failure if the server does not answer or denies access */
export const openSearchIndex = (url: string, indexPrefix: string, token: string): Store => {
  const client = connectOpenSearch(url);
  const fail = refused('OpenSearch', 'OPENSEARCH_URL');
  const ask = async <Body>(action: '_count' | '_search', body: object): Promise<Body> => {
    const answer = await client.transport
      .request({
        method: 'POST',
        path: `/${indexPrefix}messages/${action}`,
        querystring: { routing: token },
        body,
      })
      .catch(fail);
    return answer.body as Body;
  };
  return {
    name: 'OpenSearch',
    count: async () =>
      (await ask<{ count: number }>('_count', { query: { prefix: { chat: `${token}:` } } })).count,
    messages: async (chatNumber) => {
      const found: Kept[] = [];
      for (let after = 0; ; ) {
        const { hits } = await ask<{
          hits: { hits: { _source: IndexDocument }[] };
        }>('_search', {
          query: { term: { chat: `${token}:${chatNumber}` } },
          sort: [{ messageNumber: 'asc' }],
          search_after: [after],
          size: PAGE,
          _source: ['messageNumber', 'body', 'original', 'createdAt'],
        });
        found.push(
          ...hits.hits.map(({ _source: { messageNumber, body, original = body, createdAt } }) => ({
            messageNumber,
            body: original,
            createdAtMs: Date.parse(createdAt),
          })),
        );
        if (hits.hits.length < PAGE) return found;
        after = found.at(-1)?.messageNumber ?? after;
      }
    },
    close: () => client.close(),
  };
};
