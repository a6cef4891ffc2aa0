import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { Failure } from '../services/index.ts';
import type { Account } from './accounts.ts';
import type { Kept } from './comparison.ts';
import type { SentChat } from './sending.ts';

const listed = z.array(
  z.object({
    messageNumber: z.int(),
    senderName: z.string(),
    body: z.string(),
    createdAt: z.string(),
    editedAt: z.string().optional(),
  }),
);
const found = z.array(z.object({ messageNumber: z.int(), body: z.string() }));

const FOUND_WITHIN_MS = 60_000;

type Tour = { reader: Account; token: string; chat: SentChat; say: (line: string) => void };

const shown = (text: string) => {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 76 ? `${line.slice(0, 75)}…` : line;
};

const pathOf = ({ token, chat }: Tour) => `/applications/${token}/chats/${chat.chatNumber}/messages`;

const nextOf = (link: string | undefined) => /<([^>]+)>; *rel="next"/.exec(link ?? '')?.[1];

/** Shows the newest page, and reads the chat to its oldest message along the links. @throws Failure if one is missing */
export const showPages = async (tour: Tour): Promise<void> => {
  const { reader, chat, say } = tour;
  say(`\n  The newest of "${chat.title}": GET …/chats/${chat.chatNumber}/messages?limit=5`);
  const newest = listed.parse(
    JSON.parse((await reader.call({ method: 'GET', path: `${pathOf(tour)}?limit=5` })).text),
  );
  for (const message of newest)
    say(`    ${message.messageNumber}  ${message.senderName}: ${shown(message.body)}`);

  const read: Kept[] = [];
  let pages = 0;
  for (let path: string | undefined = `${pathOf(tour)}?limit=100`; path !== undefined; pages += 1) {
    const { text, link } = await reader.call({ method: 'GET', path });
    for (const { createdAt, ...message } of listed.parse(JSON.parse(text)))
      read.push({ ...message, createdAtMs: Date.parse(createdAt) });
    path = nextOf(link);
  }
  const expected = chat.accepted.toSorted(
    (a, b) => b.createdAtMs - a.createdAtMs || b.messageNumber - a.messageNumber,
  );
  const wrong = expected.findIndex(
    ({ messageNumber }, index) => read[index]?.messageNumber !== messageNumber,
  );
  if (wrong !== -1 || read.length !== expected.length) {
    throw new Failure(
      `Reading the chat page by page gave ${read.length} messages instead of ${expected.length}, or in another order (first difference at ${wrong}).`,
    );
  }
  say(`    read on along the links, ${pages} pages of 100: all ${read.length}, newest first`);
};

/** Edits the chat's last message, reads it at once, and finds it by its new word. @throws Failure */
export const showEdit = async (tour: Tour, word: string, withSearch: boolean): Promise<void> => {
  const { reader, chat, say } = tour;
  const message = chat.accepted.at(-1);
  if (message === undefined) return;
  const path = `${pathOf(tour)}/${message.messageNumber}`;
  const body = `Edited by the demonstration: ${word}`;
  say(`\n  An edit: PUT …/messages/${message.messageNumber}`);
  say(`    was  ${shown(message.body)}`);
  const begunAt = performance.now();
  await message.by.call({ method: 'PUT', path, body: { body } });
  message.body = body;
  const [newest] = listed.parse([JSON.parse((await reader.call({ method: 'GET', path })).text)]);
  if (newest?.body !== body || newest.editedAt === undefined)
    throw new Failure(`${path} does not show the edit in the next GET`);
  say(`    is   ${shown(newest.body)}  (in the next GET)`);
  if (!withSearch) return;
  for (;;) {
    if ((await search(tour, word)).some(({ messageNumber }) => messageNumber === message.messageNumber))
      break;
    if (performance.now() - begunAt > FOUND_WITHIN_MS)
      throw new Failure(`The edit is not found by its new word after ${FOUND_WITHIN_MS / 1000} s`);
    await delay(50);
  }
  say(`    found by its new word ${((performance.now() - begunAt) / 1000).toFixed(1)} s after the PUT`);
};

const search = async (tour: Tour, text: string) =>
  found.parse(
    JSON.parse(
      (
        await tour.reader.call({
          method: 'GET',
          path: `${pathOf(tour)}/search?q=${encodeURIComponent(text)}&limit=3`,
        })
      ).text,
    ),
  );

/** Words in some messages of the chat: more than one, fewer than most. */
const tellingWords = ({ accepted }: SentChat, count: number): string[] => {
  const messagesOf = new Map<string, number>();
  for (const { body } of accepted) {
    for (const word of new Set(body.toLowerCase().match(/\p{L}{4,}/gu) ?? []))
      messagesOf.set(word, (messagesOf.get(word) ?? 0) + 1);
  }
  const telling = [...messagesOf].filter(([, messages]) => messages <= Math.max(1, accepted.length / 50));
  return telling
    .sort(([a, m], [b, n]) => n - m || b.length - a.length)
    .slice(0, count)
    .map(([word]) => word);
};

/** Searches for words of the chat and shows the results. @throws Failure if there are none */
export const showSearches = async (tour: Tour): Promise<void> => {
  for (const word of tellingWords(tour.chat, 3)) {
    tour.say(`\n  GET …/messages/search?q=${word}&limit=3`);
    const hits = await search(tour, word);
    if (!hits.some(({ body }) => body.toLowerCase().includes(word)))
      throw new Failure(`Search for "${word}" does not find a message that has it`);
    for (const { messageNumber, body } of hits) tour.say(`    ${messageNumber}  ${shown(body)}`);
  }
};
