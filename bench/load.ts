import { createPool, type Pool } from 'mysql2/promise';
import { messageIndex } from '#lib/runtime/services.ts';
import { bodyOf, type Chat } from './conversation.ts';

const BATCH = 2_000;
/** Far below the ids that Redis assigns, which are the time in microseconds. */
const FIRST_ID = 1_000_000;
export const RARE_WORD = 'quixotry';
const RARE_MATCHES = 20;

const inBatches = async (
  from: number,
  to: number,
  write: (numbers: number[]) => Promise<unknown>,
): Promise<void> => {
  for (let first = from; first <= to; first += BATCH)
    await write(Array.from({ length: Math.min(BATCH, to - first + 1) }, (_, index) => first + index));
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
export const loadChats = ({ token, user }: Chat, { from, to }: { from: number; to: number }): Promise<void> =>
  withPool(async (pool) => {
    const [[application]] = (await pool.query('SELECT id FROM applications WHERE token = ?', [token])) as [
      { id: number }[],
      unknown,
    ];
    const now = new Date();
    await inBatches(from, to, (numbers) =>
      pool.query(
        'INSERT INTO chats (application_id, token, number, created_at, updated_at, creator_id, command_id) VALUES ?',
        [numbers.map((number) => [application?.id, token, number, now, now, user.id, FIRST_ID + number])],
      ),
    );
  });

/** Inserts messages `from` to `to` of a chat into MySQL and the index. 20 of them, whatever `to`, hold `RARE_WORD`. */
export const loadMessages = (chat: Chat, { from, to }: { from: number; to: number }): Promise<void> =>
  withPool(async (pool) => {
    const { token, chatNumber, user } = chat;
    const [[row]] = (await pool.query('SELECT id FROM chats WHERE token = ? AND number = ?', [
      token,
      chatNumber,
    ])) as [{ id: number }[], unknown];
    const startMs = Date.now() - 30 * 24 * 60 * 60 * 1_000;
    const columns =
      'chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender_name, command_id, version';
    await inBatches(from, to, async (numbers) => {
      const loaded = numbers.map((messageNumber) => ({
        token,
        chatNumber,
        messageNumber,
        body: messageNumber <= RARE_MATCHES ? `${bodyOf(messageNumber)} ${RARE_WORD}` : bodyOf(messageNumber),
        createdAtMs: startMs + messageNumber,
        version: FIRST_ID + messageNumber,
      }));
      await pool.query(`INSERT INTO messages (${columns}) VALUES ?`, [
        loaded.map(({ messageNumber, body, createdAtMs, version }) => {
          const createdAt = new Date(createdAtMs);
          return [
            row?.id,
            token,
            chatNumber,
            messageNumber,
            body,
            createdAt,
            createdAt,
            user.id,
            user.name,
            version,
            version,
          ];
        }),
      ]);
      await messageIndex().write(
        loaded.map(({ createdAtMs, ...message }) => ({
          ...message,
          createdAt: new Date(createdAtMs).toISOString(),
        })),
      );
    });
  });
