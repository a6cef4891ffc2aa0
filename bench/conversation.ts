import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { accessTokens, database, messageIndex, messages, submit } from '#lib/runtime/services.ts';
import { Failure } from '../local/services/index.ts';

const syllables = ['ka', 'lo', 'mi', 'ter', 'pan', 'du', 'ser', 'vi', 'nor', 'bel', 'cha', 'gu', 'res', 'to'];
const VOCABULARY = 5_000;

/** The made-up word of a rank in the vocabulary, from 1: the lower, the more often it is said. */
export const wordOf = (rank: number): string => {
  let word = '';
  for (let rest = rank; rest > 0; rest = Math.floor(rest / syllables.length))
    word += syllables[rest % syllables.length];
  return word;
};

/** Made-up text of a chat message's length, its words as unequally frequent as in speech; the same for the same index. */
export const bodyOf = (index: number): string => {
  // Lehmer's generator: the first values of neighbouring seeds are alike, so that some are passed over.
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
  user: { id: number; name: string };
  authorization: string;
};

/** A user (without the slow work of sign-up), an application and a chat. */
export const createChat = async (): Promise<Chat> => {
  const name = 'Bench';
  const email = `${randomUUID()}@bench.example`;
  await database().write(
    "INSERT INTO users (name, email, password, created_at) VALUES (?, ?, 'nobody signs in with this', NOW(3))",
    [name, email],
  );
  const [row] = await database().select('SELECT id FROM users WHERE email = ?', [email]);
  const user = { id: Number(row?.id), name };
  const { accessToken } = await accessTokens().issue(user);
  const token = await submit().application({ name: 'Bench', creatorId: user.id });
  const chatNumber = await submit().chat({ token, creatorId: user.id });
  return { token, chatNumber, user, authorization: `Bearer ${accessToken}` };
};

const AT_ONCE = 64;
const STALLED_MS = 60_000;

/** Accepts messages and waits until MySQL and the index have them. @throws Failure when they do not come */
export const fillChat = async (
  { token, chatNumber, user }: Chat,
  count: number,
  detail: (text: string) => void,
): Promise<void> => {
  let next = 0;
  const beganAtMs = Date.now() - count * 1_000;
  const send = async () => {
    for (let index = next++; index < count; index = next++) {
      detail(`${index} of ${count}`);
      await submit().message({
        token,
        chatNumber,
        senderId: user.id,
        senderName: user.name,
        body: bodyOf(index),
        createdAtMs: beganAtMs + index * 1_000,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
  await untilWhole({ token, chatNumber }, count);
};

/** Settles when the last message of a chat is stored and all before it can be found. */
const untilWhole = async (
  { token, chatNumber }: { token: string; chatNumber: number },
  count: number,
): Promise<void> => {
  const deadline = performance.now() + STALLED_MS;
  for (;;) {
    const last = { token, chatNumber, messageNumber: count };
    const [[stored], found] = await Promise.all([
      messages().find([last]),
      messageIndex().listVersions({ token, chatNumber, afterNumber: count - 1, limit: 1 }),
    ]);
    if (stored !== undefined && found.length === 1) return;
    if (performance.now() > deadline)
      throw new Failure(`Message ${count} is not stored and indexed after ${STALLED_MS / 1000} s`);
    await delay(100);
  }
};
