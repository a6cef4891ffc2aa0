import { setTimeout as delay } from 'node:timers/promises';
import { createPool, type Pool } from 'mysql2/promise';
import { IndexRetryLater } from '#lib/opensearch/errors.ts';
import type { IndexedMessage } from '#lib/opensearch/index/document.ts';
import { messageIndex } from '#lib/runtime/services/opensearch.ts';
import { Failure } from '../local/services/index.ts';
import { bodyOf, type Chat } from './conversation.ts';

const BATCH = 5_000;
/** Two processors analyse text in OpenSearch. MySQL needs less time for the same messages. */
const LOADS_IN_FLIGHT = 2;
const INDEX_ATTEMPTS = 30;
const INDEX_PAUSE_MS = 2_000;
/** Far below the ids that Redis assigns, which are the time in microseconds. */
const FIRST_ID = 1_000_000;
export const RARE_WORD = 'quixotry';
const RARE_MATCHES = 20;

export type Range = { from: number; to: number };

const inBatches = async (
  { from, to }: Range,
  inFlight: number,
  write: (numbers: number[]) => Promise<unknown>,
): Promise<void> => {
  let next = from;
  const writeNext = async () => {
    while (next <= to) {
      const first = next;
      next += BATCH;
      await write(Array.from({ length: Math.min(BATCH, to - first + 1) }, (_, index) => first + index));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, writeNext));
};

const withPool = async (work: (pool: Pool) => Promise<void>): Promise<void> => {
  const pool = createPool({ uri: process.env.MYSQL_URL ?? '', charset: 'utf8mb4', timezone: 'Z' });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
};

/** Inserts chats `from` to `to` of the chat's application into MySQL. Redis learns of them by a recovery. */
export const loadChats = ({ token, user }: Chat, range: Range): Promise<void> =>
  withPool(async (pool) => {
    const [[application]] = (await pool.query('SELECT id FROM applications WHERE token = ?', [token])) as [
      { id: number }[],
      unknown,
    ];
    const now = new Date();
    await inBatches(range, 1, (numbers) =>
      pool.query(
        'INSERT INTO chats (application_id, token, number, created_at, updated_at, creator_id, command_id) VALUES ?',
        [numbers.map((number) => [application?.id, token, number, now, now, user.id, FIRST_ID + number])],
      ),
    );
  });

const messageColumns =
  'chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender, sender_name, command_id, version';

/** Writes messages into the index. A server that merges may be slow or full, so it is asked again. */
const index = async (loaded: readonly IndexedMessage[]): Promise<void> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { refused } = await messageIndex().write(loaded);
      if (refused[0] !== undefined) throw new Failure(`The index refused a message: ${refused[0].reason}`);
      return;
    } catch (error) {
      if (!(error instanceof IndexRetryLater) || attempt === INDEX_ATTEMPTS) throw error;
      await delay(INDEX_PAUSE_MS);
    }
  }
};

/**
 * Inserts messages `from` to `to` of a chat into MySQL and the index. Messages 1 to 20 contain `RARE_WORD`.
 * @param onLoaded gets the number of messages of each batch that both have
 */
export const loadMessages = (
  { token, chatNumber, user }: Chat,
  range: Range,
  onLoaded: (count: number) => void = () => undefined,
): Promise<void> =>
  withPool(async (pool) => {
    const [[row]] = (await pool.query('SELECT id FROM chats WHERE token = ? AND number = ?', [
      token,
      chatNumber,
    ])) as [{ id: number }[], unknown];
    const startMs = Date.now() - 30 * 24 * 60 * 60 * 1_000;
    const messageOf = (messageNumber: number) => ({
      token,
      chatNumber,
      messageNumber,
      sender: user.handle,
      senderName: user.name,
      body: messageNumber <= RARE_MATCHES ? `${bodyOf(messageNumber)} ${RARE_WORD}` : bodyOf(messageNumber),
      createdAt: new Date(startMs + messageNumber),
      version: FIRST_ID + messageNumber,
    });
    type Message = ReturnType<typeof messageOf>;
    const rowOf = ({ messageNumber, body, createdAt, version }: Message) => [
      ...[row?.id, token, chatNumber, messageNumber, body, createdAt, createdAt],
      ...[user.id, user.handle, user.name, version, version],
    ];
    const documentOf = (message: Message) => ({ ...message, createdAt: message.createdAt.toISOString() });
    await inBatches(range, LOADS_IN_FLIGHT, async (numbers) => {
      const loaded = numbers.map(messageOf);
      await Promise.all([
        index(loaded.map(documentOf)),
        pool.query(`INSERT INTO messages (${messageColumns}) VALUES ?`, [loaded.map(rowOf)]),
      ]);
      onLoaded(loaded.length);
    });
  });
