import type { Client } from '@opensearch-project/opensearch';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { MessageSearch } from '#lib/opensearch/search/message-search.ts';
import { createIndexContents } from '../../test/support/index-contents.ts';
import { median } from '../measure.ts';
import type { BenchMessage } from './messages.ts';

const CHATS = 100;
const BATCH = 1_000;
const SEARCHES = 200;
const WARM_UP = 50;
const token = 'bench';
/** Words of the median, and of the longest queries that people type. */
const WORDS = [1, 2, 4];

/** The same texts in turn in each of a hundred chats. */
const load = async (client: Client, prefix: string, messages: readonly BenchMessage[]) => {
  const index = createMessageIndex({ client, prefix });
  await index.prepare();
  for (let from = 0; from < messages.length; from += BATCH) {
    const some = messages.slice(from, from + BATCH).map(({ sender, body, createdAt }, at) => ({
      token,
      chatNumber: 1 + ((from + at) % CHATS),
      messageNumber: 1 + Math.floor((from + at) / CHATS),
      senderName: sender,
      body,
      createdAt,
      version: 1,
    }));
    const { refused } = await index.write(some);
    if (refused[0]) throw new Error(`A message was refused by the index: ${refused[0].reason}`);
  }
  await createIndexContents(client, prefix).refresh();
  return index;
};

/** Words of a message, so that each query finds something. */
const queriesOf = (messages: readonly BenchMessage[]): string[] =>
  Array.from({ length: SEARCHES }, (_, at) => {
    const { body = '' } = messages[(at * 7_919) % messages.length] ?? {};
    const words = body.split(/\s+/).filter((word) => word.length > 2);
    return words.slice(0, WORDS[at % WORDS.length]).join(' ') || 'hello';
  });

/**
 * Compares the search over an application of 100 chats with the search of one of these chats: the same queries in turn,
 * on the same index. @returns a line of the table
 */
export const compareApplication = async (
  client: Client,
  run: string,
  messages: readonly BenchMessage[],
): Promise<string> => {
  const prefix = `${run}-application-`;
  try {
    const index = await load(client, prefix, messages);
    const timed = async (wanted: Omit<MessageSearch, 'token' | 'limit'>): Promise<number> => {
      const startedAt = performance.now();
      await index.search({ token, limit: 10, ...wanted });
      return performance.now() - startedAt;
    };
    const times: { application: number; chat: number }[] = [];
    for (const [at, text] of queriesOf(messages).entries()) {
      const chat = await timed({ text, chatNumber: 1 + (at % CHATS) });
      const application = await timed({ text });
      if (at >= WARM_UP) times.push({ application, chat });
    }
    const application = median(times.map((time) => time.application));
    const chat = median(times.map((time) => time.chat));
    return `Search over an application of ${CHATS} chats, ${messages.length} messages: ${application.toFixed(1)} ms; in one of its chats: ${chat.toFixed(1)} ms; ratio ${(application / chat).toFixed(2)} (goal: at most 2)`;
  } finally {
    await client.indices.delete({ index: `${prefix}*` });
  }
};
