import { within } from '#lib/concurrency/within.ts';
import type { AcceptedQueue } from '#lib/contracts/commands/all.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { parseJson } from '#lib/domain/json.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';

/** The longest that a deletion waits for MySQL. */
const WAIT_MS = 1_000;

type Uses = {
  applications: Pick<Applications, 'blank'>;
  chats: Pick<Chats, 'blank'>;
  messages: Pick<Messages, 'blank'>;
  onFailure: (error: Error) => void;
};

/**
 * Returns a function that applies an accepted deletion to MySQL at once, so that a Redis that dies a moment later does not
 * show the text again. It waits at most a second and never throws: the command follows in any case.
 */
export const createEraseAtOnce = ({ applications, chats, messages, onFailure }: Uses) => {
  const erasers: Partial<Record<AcceptedQueue, (content: unknown) => Promise<void>>> = {
    'update-application': async (content) => {
      const {
        deleted,
        editedAtMs: deletedAtMs,
        commandId,
        token,
      } = updateApplicationCommand.schema.parse(content);
      if (deleted) await applications.blank(token, { deletedAtMs, commandId });
    },
    'update-chat': async (content) => {
      const {
        deleted,
        editedAtMs: deletedAtMs,
        commandId,
        ...chat
      } = updateChatCommand.schema.parse(content);
      if (deleted) await chats.blank(chat, { deletedAtMs, commandId });
    },
    'update-message': async (content) => {
      const {
        deleted,
        editedAtMs: deletedAtMs,
        commandId,
        ...message
      } = updateMessageCommand.schema.parse(content);
      if (deleted) await messages.blank(message, { deletedAtMs, commandId });
    },
  };
  return async (queue: AcceptedQueue, content: string): Promise<void> => {
    try {
      const erased = erasers[queue]?.(parseJson(content));
      if (erased !== undefined)
        await within(WAIT_MS, erased, () => unavailable('The database needs more than a second.'));
    } catch (error) {
      onFailure(error instanceof Error ? error : new Error('An unknown failure'));
    }
  };
};

export type EraseAtOnce = ReturnType<typeof createEraseAtOnce>;
