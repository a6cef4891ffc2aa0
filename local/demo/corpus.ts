import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { body, instant, name } from '#lib/contracts/fields.ts';
import { Failure, messageOf } from '../services/index.ts';

const line = z.object({ chat: z.string().min(1), sender: name, body, createdAt: instant });

type Said = { sender: string; body: string; createdAtMs: number };

/** A chat with its messages in the order of the file: the message at index i must get the number i + 1. */
export type RecordedChat = { title: string; messages: Said[] };

export type Corpus = {
  /** In the order of their first messages. */
  chats: RecordedChat[];
  messagesCount: number;
  /** Ordered by their number of messages, highest first. */
  senders: string[];
};

const parseLine = (text: string, where: string) => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Failure(`${where} is not JSON: ${messageOf(error)}`);
  }
  const result = line.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') ? `"${issue.path.join('.')}": ` : '';
  throw new Failure(
    `${where} is not a message: ${field}${issue?.message}. Expected {"chat", "sender", "body", "createdAt"}, see docs/demonstration.md.`,
  );
};

/**
 * Reads recorded chat, one JSON object a line: `chat` (its title), `sender`, `body`, `createdAt` (ISO 8601 with an
 * offset).
 * @throws Failure if the file cannot be read, or with the line's number if a line is malformed
 */
export const readCorpus = async (file: string): Promise<Corpus> => {
  const chats = new Map<string, RecordedChat>();
  const counts = new Map<string, number>();
  let number = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      number += 1;
      if (text.trim() === '') continue;
      const said = parseLine(text, `Line ${number} of ${file}`);
      const chat = chats.get(said.chat) ?? { title: said.chat, messages: [] };
      chats.set(said.chat, chat);
      chat.messages.push({
        sender: said.sender,
        body: said.body,
        createdAtMs: Date.parse(said.createdAt),
      });
      counts.set(said.sender, (counts.get(said.sender) ?? 0) + 1);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${file} cannot be read: ${messageOf(error)}`);
  }
  if (chats.size === 0) throw new Failure(`${file} holds no message.`);
  return {
    chats: [...chats.values()],
    messagesCount: [...chats.values()].reduce((sum, { messages }) => sum + messages.length, 0),
    senders: [...counts].sort(([, a], [, b]) => b - a).map(([sender]) => sender),
  };
};
