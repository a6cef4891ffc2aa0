import { readFile } from 'node:fs/promises';

/** A message to be searched; its number is its place in its chat, from 1. */
export type BenchMessage = { chat: string; sender: string; body: string; createdAt: string; number: number };

/** The chat of the bench's own messages, with scripts and characters that are rare in the corpus. */
export const ownChat = 'own';

type Line = Omit<BenchMessage, 'number' | 'chat'> & { chat?: string };

/** Reads newline-delimited JSON: `chat`, `sender`, `body`, `createdAt` (ISO 8601), in order within each chat. */
export const readCorpus = async (path: string): Promise<BenchMessage[]> => {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return numbered(lines.map((line) => JSON.parse(line) as Line));
};

export const readOwnMessages = async (): Promise<BenchMessage[]> =>
  numbered(JSON.parse(await readFile(new URL('own-messages.json', import.meta.url), 'utf8')) as Line[]);

/** Meaningless text, the same in every run, as background for the bench's own messages. */
export const madeUpMessages = (count: number): BenchMessage[] => {
  let state = 42;
  const random = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const syllables = ['ka', 'lo', 'mi', 'ter', 'pan', 'du', 'ser', 'vi', 'nor', 'bel', 'cha', 'gu'];
  const word = () =>
    Array.from({ length: 1 + random(3) }, () => syllables[random(syllables.length)]).join('');
  const from = Date.parse('2019-01-01T00:00:00.000Z');
  return numbered(
    Array.from({ length: count }, (_, index) => ({
      chat: ownChat,
      sender: word(),
      body: Array.from({ length: 3 + random(12) }, word).join(' '),
      createdAt: new Date(from + index * 60_000).toISOString(),
    })),
  );
};

/** Gives each message the next number in its chat. */
export const numbered = (lines: readonly Line[]): BenchMessage[] => {
  const last = new Map<string, number>();
  return lines.map((line) => {
    const chat = line.chat ?? ownChat;
    const number = (last.get(chat) ?? 0) + 1;
    last.set(chat, number);
    return { chat, sender: line.sender, body: line.body, createdAt: line.createdAt, number };
  });
};
