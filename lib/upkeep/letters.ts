import * as z from 'zod';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { indexMessageCommand } from '#lib/contracts/commands/index-message.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { parseJson } from '#lib/domain/json.ts';
import { chatReference, type MessageReference, messageReference } from '#lib/domain/reference.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { DeadLetter, DeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import type { DeletedMessages } from '#lib/redis/window/deleted-messages.ts';
import type { ErasureStep } from './erasure.ts';

/** The queues whose letters have the title of a chat. */
const queuesOfTitles: readonly string[] = [createChatCommand.queue, updateChatCommand.queue];
/** The queues whose letters have the title of a chat or the text of a message. */
const queuesOfTexts: readonly string[] = [
  ...queuesOfTitles,
  createMessageCommand.queue,
  updateMessageCommand.queue,
  indexMessageCommand.queue,
];

const named = z.object({
  token: z.string(),
  chatNumber: z.int(),
  messageNumber: z.int().optional().catch(undefined),
  commandId: z.int().optional().catch(undefined),
});
type Named = z.output<typeof named>;

/** The chat or the message that a letter is about, as far as its JSON tells. */
const namedBy = ({ content }: Pick<DeadLetter, 'content'>): Named | undefined => {
  try {
    const json = parseJson(content.toString('utf8'));
    // A creation of another program has no id; its contract derives one.
    const { commandId } = createMessageCommand.schema.safeParse(json).data ?? {};
    const found = named.safeParse(json).data;
    return found && { ...found, commandId: commandId ?? found.commandId };
  } catch {
    return undefined;
  }
};

/** A letter with the place of its item. */
type About<Letter> = { letter: Letter; item: Named };

/** Letters that one look-up is about. */
const TOGETHER = 1_000;

/** @returns a function that finds the letters about deleted messages and chats @throws unavailable without MySQL */
export const createLettersOfDeleted = ({
  chats,
  messages,
  deletedMessages,
}: {
  chats: Pick<Chats, 'deletedAmong'>;
  messages: Pick<Messages, 'states'>;
  deletedMessages: Pick<DeletedMessages, 'among'>;
}) => {
  const goneAmong = async <Letter>(queue: string, about: readonly About<Letter>[]): Promise<Letter[]> => {
    const refs: MessageReference[] = about.flatMap(({ item: { messageNumber, ...chat } }) =>
      messageNumber === undefined ? [] : [{ ...chat, messageNumber }],
    );
    const [goneChats, rows, recent] = await Promise.all([
      chats.deletedAmong(about.map(({ item }) => item)),
      messages.states(refs),
      ifAvailable(deletedMessages.among(refs)),
    ]);
    const isDeleted = ({ commandId, messageNumber, ...chat }: Named): boolean => {
      if (goneChats.has(chatReference(chat))) return true;
      if (messageNumber === undefined || queuesOfTitles.includes(queue)) return false;
      const reference = messageReference({ ...chat, messageNumber });
      const row = rows.get(reference);
      // The number may belong to another command. Then the letter is the only copy of its message.
      if (queue === createMessageCommand.queue && row?.commandId !== commandId) return false;
      return row?.isDeleted === true || recent?.deleted.has(reference) === true;
    };
    return about.flatMap(({ letter, item }) => (isDeleted(item) ? [letter] : []));
  };

  return async <Letter extends Pick<DeadLetter, 'content'>>(
    queue: string,
    letters: readonly Letter[],
  ): Promise<Set<Letter>> => {
    if (!queuesOfTexts.includes(queue)) return new Set();
    const about = letters.flatMap((letter): About<Letter>[] => {
      const item = namedBy(letter);
      return item === undefined ? [] : [{ letter, item }];
    });
    const gone = new Set<Letter>();
    for (let from = 0; from < about.length; from += TOGETHER)
      for (const letter of await goneAmong(queue, about.slice(from, from + TOGETHER))) gone.add(letter);
    return gone;
  };
};

export type LettersOfDeleted = ReturnType<typeof createLettersOfDeleted>;

/** The most letters of a queue that a run reads, oldest first. */
const READ = 10_000;
/** A slice begins with no other queue after this time: reading so many letters takes about ten seconds, and discarding as many. */
const SLICE_MS = 15_000;

/**
 * The step of the erasure that discards letters of deleted messages and chats. It leaves the letters alone while the gate is closed:
 * a recovery could miss letters that are read meanwhile. The queues take turns.
 */
export const discardLettersOfDeleted = ({
  deadLetters,
  lettersOfDeleted,
  publisher,
  gate,
  now,
}: {
  deadLetters: Pick<DeadLetters, 'list' | 'discard'>;
  lettersOfDeleted: LettersOfDeleted;
  publisher: Pick<Publisher, 'depth'>;
  gate: Pick<Gate, 'status'>;
  now: () => number;
}): ErasureStep => {
  let turns = 0;
  const discardFrom = async (queue: string): Promise<number> => {
    if ((await publisher.depth(queue)).dead === 0) return 0;
    const { letters } = await deadLetters.list(queue, { limit: READ });
    const found = await lettersOfDeleted(queue, letters);
    if (found.size === 0) return 0;
    const ids = [...found].map(({ id }) => id);
    return (await deadLetters.discard(queue, { ids, limit: READ })).acted;
  };
  return {
    name: 'letters',
    slice: async () => {
      if (!(await gate.status()).isOpen) return 0;
      const deadline = now() + SLICE_MS;
      let discarded = 0;
      for (let i = 0; i < queuesOfTexts.length && now() < deadline; i += 1) {
        const queue = queuesOfTexts[turns % queuesOfTexts.length] ?? '';
        turns += 1;
        discarded += await discardFrom(queue);
      }
      return discarded;
    },
  };
};
