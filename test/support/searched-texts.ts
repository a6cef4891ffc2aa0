import { Client } from '@opensearch-project/opensearch';
import { inject } from 'vitest';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { MessageHit } from '#lib/opensearch/search/message-search.ts';
import { createIndexContents } from './index-contents.ts';

/** Texts in an index of their own. Each is in a chat of its own, beside a message that must not match. */
export type SearchedTexts = {
  find(query: string, text: string): Promise<MessageHit[]>;
  remove(): Promise<void>;
};

const other = '— quux zzyzx 🦆 Щ 犬 ฬ';

export const indexTexts = async (name: string, given: readonly string[]): Promise<SearchedTexts> => {
  const texts = [...new Set(given)];
  const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
  const prefix = `${inject('names').indexPrefix}${name}-`;
  const index = createMessageIndex({ client, prefix });
  await index.prepare();
  const message = (chatNumber: number, messageNumber: number, body: string) => ({
    token: 't',
    chatNumber,
    messageNumber,
    senderName: 'ana',
    body,
    createdAt: '2026-01-01T00:00:00.000Z',
    version: 1,
  });
  const { refused } = await index.write(
    texts.flatMap((text, at) => [message(at + 1, 1, text), message(at + 1, 2, other)]),
  );
  if (refused[0] !== undefined) throw new Error(`The index refused a text: ${refused[0].reason}`);
  await createIndexContents(client, prefix).refresh();
  return {
    find: async (query, text) => {
      const chatNumber = texts.indexOf(text) + 1;
      if (chatNumber === 0) throw new Error(`No such text: ${text}`);
      return (await index.search({ token: 't', chatNumber, text: query, limit: 10, highlight: true })).hits;
    },
    remove: async () => {
      await client.indices.delete({ index: `${prefix}*` });
      await client.close();
    },
  };
};
