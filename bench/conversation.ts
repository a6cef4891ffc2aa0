import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createHandle } from '#lib/auth/handles.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { MessageReference } from '#lib/domain/reference.ts';
import { createToken } from '#lib/domain/token.ts';
import { accessTokens } from '#lib/runtime/services/auth.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { config, database, openSearch } from '#lib/runtime/services/servers.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import { Failure } from '../local/services/index.ts';
import { createIndexContents, type IndexContents } from '../test/support/index-contents.ts';

const syllables = ['ka', 'lo', 'mi', 'ter', 'pan', 'du', 'ser', 'vi', 'nor', 'bel', 'cha', 'gu', 'res', 'to'];
const VOCABULARY = 5_000;

/** The made-up word of a rank in the vocabulary, from 1. Words of a low rank are frequent. */
export const wordOf = (rank: number): string => {
  let word = '';
  for (let rest = rank; rest > 0; rest = Math.floor(rest / syllables.length))
    word += syllables[rest % syllables.length];
  return word;
};

/** Made-up text with the length of a chat message and the word frequencies of speech. It depends only on the index. */
export const bodyOf = (index: number): string => {
  // Lehmer's generator. The first values of neighbouring seeds are similar, so they are discarded.
  let state = (index + 1) * 48_271;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  random();
  random();
  return Array.from({ length: 4 + (index % 11) }, () => wordOf(Math.ceil(VOCABULARY ** random()))).join(' ');
};

export type Chat = {
  token: string;
  chatNumber: number;
  user: { id: number; name: string; handle: string };
  authorization: string;
};

/** A user (without the slow work of sign-up), an application and a chat. */
export const createChat = async (): Promise<Chat> => {
  const name = 'Bench';
  const handle = createHandle();
  const email = `${randomUUID()}@bench.example`;
  await database().write(
    "INSERT INTO users (name, email, handle, password, created_at) VALUES (?, ?, ?, 'nobody signs in with this', NOW(3))",
    [name, email, handle],
  );
  const [row] = await database().select('SELECT id FROM users WHERE email = ?', [email]);
  const user = { id: Number(row?.id), name, handle };
  const { accessToken } = await accessTokens().issue(user);
  const token = await submit()(createApplicationCommand, {
    token: createToken(),
    name: 'Bench',
    creatorId: user.id,
  });
  const chatNumber = await submit()(createChatCommand, { token, creatorId: user.id });
  return { token, chatNumber, user, authorization: `Bearer ${accessToken}` };
};

const AT_ONCE = 64;
const STALLED_MS = 120_000;

type Sent = { token: string; chatNumber: number; user: Chat['user']; index: number };

/** Accepts one message as the HTTP function does. @returns its number */
export const send = ({ token, chatNumber, user, index }: Sent): Promise<number> =>
  submit()(createMessageCommand, {
    token,
    chatNumber,
    senderId: user.id,
    sender: user.handle,
    senderName: user.name,
    body: bodyOf(index),
    createdAtMs: Date.now(),
  });

/** Accepts `count` messages, many at once. */
export const sendAll = async (count: number, messageOf: (index: number) => Sent): Promise<void> => {
  let next = 0;
  const sendNext = async () => {
    while (next < count) await send(messageOf(next++));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sendNext));
};

/** Accepts messages and waits until MySQL and the index have them. @throws Failure when they do not arrive */
export const fillChat = async ({ token, chatNumber, user }: Chat, count: number): Promise<void> => {
  await sendAll(count, (index) => ({ token, chatNumber, user, index }));
  await untilArrived({ token, chatNumber, messageNumber: count });
};

export const untilStored = (last: MessageReference) =>
  untilTrue(
    `Message ${last.messageNumber} is not stored`,
    async () => (await messages().find([last])).length > 0,
  );

let contents: IndexContents | undefined;
export const indexContents = (): IndexContents => {
  const { OPENSEARCH_URL = '', OPENSEARCH_INDEX_PREFIX } = config();
  contents ??= createIndexContents(openSearch(OPENSEARCH_URL), OPENSEARCH_INDEX_PREFIX);
  return contents;
};

/** Settles when a message is stored and search finds it. Consumers keep the order, so all earlier ones are as well. */
export const untilArrived = async (last: MessageReference): Promise<void> => {
  await untilStored(last);
  const { token, chatNumber, messageNumber } = last;
  await untilTrue(`Message ${messageNumber} is not indexed`, async () => {
    const found = await indexContents().listVersions({
      token,
      chatNumber,
      afterNumber: messageNumber - 1,
      limit: 1,
    });
    return found.length > 0;
  });
};

/** Asks every 20 ms. @throws Failure after `withinMs` */
export const untilTrue = async (
  otherwise: string,
  ask: () => Promise<boolean>,
  withinMs = STALLED_MS,
): Promise<void> => {
  const deadline = performance.now() + withinMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Failure(`${otherwise} after ${withinMs / 1_000} s`);
    await delay(20);
  }
};
