import * as z from 'zod';
import type { Account } from './accounts.ts';
import type { Kept } from './comparison.ts';
import type { Corpus, RecordedChat } from './corpus.ts';

export type SentChat = RecordedChat & { chatNumber: number; accepted: (Kept & { by: Account })[] };

const madeApplication = z.object({ token: z.string() });
const madeChat = z.object({ chatNumber: z.int() });
const madeMessage = z.object({ messageNumber: z.int() });

export type Conversation = { token: string; chats: SentChat[] };

/** Creates an application, and a chat for each chat of the file. @throws Failure */
export const createConversation = async (
  owner: Account,
  replayId: string,
  corpus: Corpus,
): Promise<Conversation> => {
  const post = async (path: string, key: string, body: object): Promise<unknown> =>
    JSON.parse((await owner.call({ method: 'POST', path, idempotencyKey: `${replayId}-${key}`, body })).text);
  const { token } = madeApplication.parse(
    await post('/applications', 'application', { name: `Demonstration ${replayId}` }),
  );
  const chats: SentChat[] = [];
  for (const chat of corpus.chats) {
    const made = await post(`/applications/${token}/chats`, `chat-${chats.length}`, { title: chat.title });
    chats.push({ ...chat, chatNumber: madeChat.parse(made).chatNumber, accepted: [] });
  }
  return { token, chats };
};

/**
 * Sends every message. The messages of a chat go one after the other, several chats in parallel.
 * @param concurrency number of parallel chats
 * @param onAccepted called with each message's time in milliseconds, including retries
 * @throws Failure if the API refuses a message
 */
export const sendMessages = async (
  { token, chats }: Conversation,
  replayId: string,
  accountOf: (sender: string) => Account,
  concurrency: number,
  onAccepted: (tookMs: number) => void,
): Promise<void> => {
  // Longest chats first: a long one at the end would be sent alone.
  const waiting = [...chats].sort((a, b) => b.messages.length - a.messages.length);
  const sendChats = async () => {
    for (let chat = waiting.shift(); chat !== undefined; chat = waiting.shift()) {
      for (const { sender, body, createdAtMs } of chat.messages) {
        const by = accountOf(sender);
        const begunAt = performance.now();
        const { text } = await by.call({
          method: 'POST',
          path: `/applications/${token}/chats/${chat.chatNumber}/messages`,
          idempotencyKey: `${replayId}-${chat.chatNumber}-${chat.accepted.length}`,
          body: { body, createdAt: new Date(createdAtMs).toISOString() },
        });
        const { messageNumber } = madeMessage.parse(JSON.parse(text));
        chat.accepted.push({ messageNumber, body, createdAtMs, senderName: by.name, by });
        onAccepted(performance.now() - begunAt);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sendChats));
};
