import type { Client } from '@opensearch-project/opensearch';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { createIndexContents } from '../../test/support/index-contents.ts';
import type { BenchMessage } from './messages.ts';

export type Engine = {
  name: string;
  load(messages: readonly BenchMessage[]): Promise<void>;
  /** Numbers of the first ten messages found in a chat, best first. */
  search(chat: string, text: string): Promise<number[]>;
  drop(): Promise<void>;
};

const limit = 10;
const batch = 1_000;
const token = 'bench';

/** The project's own search, through its adapter. */
export const ourSearch = (client: Client, prefix: string): Engine => {
  const index = createMessageIndex({ client, prefix: `${prefix}-ours-` });
  const chats = new Map<string, number>();
  const chatNumber = (chat: string) => {
    const known = chats.get(chat) ?? chats.size + 1;
    chats.set(chat, known);
    return known;
  };
  return {
    name: 'ours',
    load: async (messages) => {
      await index.prepare();
      for (const some of inBatches(messages)) {
        const { refused } = await index.write(
          some.map(({ chat, sender, body, createdAt, number }) => ({
            token,
            chatNumber: chatNumber(chat),
            messageNumber: number,
            senderName: sender,
            body,
            createdAt,
            version: number,
          })),
        );
        if (refused[0]) throw new Error(`A message was refused by the index: ${refused[0].reason}`);
      }
      await createIndexContents(client, `${prefix}-ours-`).refresh();
    },
    search: async (chat, text) => {
      const { hits } = await index.search({ token, chatNumber: chatNumber(chat), text, page: 1, limit });
      return hits.map(({ messageNumber }) => messageNumber);
    },
    drop: async () => {
      await client.indices.delete({ index: `${prefix}-ours-*` });
    },
  };
};

/** A `match` query on a field with the standard analyser and the standard similarity; the newer among equals first. */
export const plainMatch = (client: Client, prefix: string): Engine => {
  const index = `${prefix}-plain`;
  return {
    name: 'plain match',
    load: async (messages) => {
      await client.indices.create({
        index,
        body: {
          settings: { number_of_shards: 1, number_of_replicas: 0 },
          mappings: {
            properties: { chat: { type: 'keyword' }, number: { type: 'integer' }, body: { type: 'text' } },
          },
        },
      });
      for (const some of inBatches(messages)) {
        await client.bulk({
          body: some.flatMap(({ chat, number, body }) => [
            { index: { _index: index, _id: `${chat}:${number}` } },
            { chat, number, body },
          ]),
        });
      }
      await client.indices.refresh({ index });
    },
    search: async (chat, text) => {
      const { body } = await client.search({
        index,
        body: {
          query: {
            bool: {
              filter: [{ term: { chat: { value: chat } } }],
              must: [{ match: { body: { query: text } } }],
            },
          },
          sort: [{ _score: { order: 'desc' } }, { number: { order: 'desc' } }],
          size: limit,
          _source: ['number'],
        },
      });
      return body.hits.hits.map((hit) => Number(hit._source?.number));
    },
    drop: async () => {
      await client.indices.delete({ index });
    },
  };
};

/** InnoDB full text in natural language mode, as it comes; the newer among equals first. */
export const mysqlFullText = (connection: Connection, database: string): Engine => ({
  name: 'MySQL full text',
  load: async (messages) => {
    await connection.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    await connection.query(
      `CREATE TABLE ${database}.messages (
         id INT PRIMARY KEY AUTO_INCREMENT, chat VARCHAR(32) NOT NULL, number INT NOT NULL, body TEXT NOT NULL,
         KEY (chat, number)
       ) DEFAULT CHARSET = utf8mb4`,
    );
    for (const some of inBatches(messages)) {
      await connection.query(`INSERT INTO ${database}.messages (chat, number, body) VALUES ?`, [
        some.map(({ chat, number, body }) => [chat, number, body]),
      ]);
    }
    await connection.query(`ALTER TABLE ${database}.messages ADD FULLTEXT INDEX body_words (body)`);
  },
  search: async (chat, text) => {
    const [rows] = await connection.query<RowDataPacket[]>(
      `SELECT number FROM ${database}.messages
        WHERE chat = ? AND MATCH (body) AGAINST (? IN NATURAL LANGUAGE MODE)
        ORDER BY MATCH (body) AGAINST (? IN NATURAL LANGUAGE MODE) DESC, number DESC LIMIT ?`,
      [chat, text, text, limit],
    );
    return rows.map(({ number }) => Number(number));
  },
  drop: async () => {
    await connection.query(`DROP DATABASE IF EXISTS ${database}`);
  },
});

const inBatches = function* (messages: readonly BenchMessage[]) {
  for (let at = 0; at < messages.length; at += batch) yield messages.slice(at, at + batch);
};
