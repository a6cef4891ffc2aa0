import { randomUUID } from 'node:crypto';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { notFound, notKnownYet, unavailable } from '#lib/domain/errors.ts';
import { windowLimits } from '#lib/domain/limits.ts';
import {
  applyEdit,
  type Edit,
  isDeleted,
  type Message,
  mergeByNumber,
  positionOf,
} from '#lib/domain/message.ts';
import { comparePositions, type PageStart } from '#lib/domain/position.ts';
import type { ChatReference } from '#lib/domain/reference.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { RecentMessages, RecentPage } from '#lib/redis/window/recent-messages.ts';
import type { WithSenders } from './senders.ts';

type PageQuery = PageStart & { skip: number; count: number };

/**
 * Reads accepted messages, stored or pending. Every read asks Redis before MySQL: a message that is no longer
 * pending in Redis was committed before, so the later query finds it.
 */
export const createConversation = ({
  recentMessages,
  messages,
  chats,
  withSenders,
}: {
  recentMessages: RecentMessages;
  messages: Pick<Messages, 'page' | 'find'>;
  chats: Pick<Chats, 'find'>;
  withSenders: WithSenders;
}) => {
  /** Lets one reader copy MySQL's newest rows to Redis for later readers. @returns whether this reader did */
  const warm = async (chat: ChatReference): Promise<boolean> => {
    const builder = randomUUID();
    if (!(await recentMessages.beginWindow(chat, builder))) return false;
    const rows = await messages.page(chat, { skip: 0, count: windowLimits.entries });
    await recentMessages.finishWindow(chat, builder, rows, rows.length < windowLimits.entries);
    return true;
  };

  /** Applies pending edits to rows that may not have them yet. A deletion counts also if its row has a newer version. */
  const withEdits = async (page: Message[], edits: ReadonlyMap<number, number>): Promise<Message[]> => {
    const stale = page.filter((message) => edits.has(message.messageNumber) && !isDeleted(message));
    if (stale.length === 0) return page;
    const pending = await recentMessages.edits(
      stale.map(({ messageNumber }) => edits.get(messageNumber) ?? 0),
    );
    const byNumber = new Map<number, Edit>(pending.map((edit) => [edit.messageNumber, edit]));
    // An edit that left the outbox meanwhile is in the row now.
    const arrived = await messages.find(stale.filter(({ messageNumber }) => !byNumber.has(messageNumber)));
    return mergeByNumber(page, arrived).map((message) =>
      applyEdit(message, byNumber.get(message.messageNumber)),
    );
  };

  const fromBoth = async (
    chat: ChatReference,
    { before, after, skip, count }: PageQuery,
    recent: Extract<RecentPage, { kind: 'part' }> | undefined,
  ): Promise<Message[]> => {
    const pending = recent?.messages ?? [];
    const skipRows = Math.max(0, skip - pending.length);
    const rows = await messages.page(chat, {
      before,
      after,
      skip: skipRows,
      count: count + skip - skipRows,
      // Rows that are pending as well are excluded from the skipped rows, so that they do not count twice.
      except: skipRows === 0 ? [] : pending.map(({ messageNumber }) => messageNumber),
    });
    const direction = after === undefined ? 1 : -1;
    const page = mergeByNumber(rows, pending)
      .sort((a, b) => direction * comparePositions(positionOf(a), positionOf(b)))
      .slice(skip - skipRows, skip - skipRows + count);
    if (recent === undefined) return page;
    if (recent.edits !== undefined) return withEdits(page, recent.edits);
    const edits = await recentMessages.pendingEdits(
      chat,
      page.map(({ messageNumber }) => messageNumber),
    );
    // An edit that was stored in between is neither in the rows above nor in Redis, so the rows are read
    // again.
    return withEdits(mergeByNumber(page, await messages.find(page)), edits);
  };

  const whole = (page: Extract<RecentPage, { kind: 'whole' }>): Message[] =>
    page.messages.map(({ message, edit }) => applyEdit(message, edit));

  return {
    /**
     * Newest first, from a cursor (exclusive) or after `skip` messages; with `after` oldest first. `upTo`: the page has every
     * change up to it; undefined if it may lag.
     * @throws not-found, unavailable
     */
    page: async (
      chat: ChatReference,
      query: PageQuery,
    ): Promise<{ messages: Message[]; upTo?: number | undefined }> => {
      const isNewest = query.before === undefined && query.after === undefined;
      let recent = await ifAvailable(recentMessages.page(chat, query));
      const isSure = recent !== undefined && (recent.kind !== 'part' || recent.isAuthoritative);
      const stored = isSure ? undefined : await chats.find(chat.token, chat.chatNumber);
      if (stored?.isDeleted) throw notFound('chat');
      if (recent?.kind === 'part' && recent.cold && isNewest) {
        if (await ifAvailable(warm(chat))) recent = await ifAvailable(recentMessages.page(chat, query));
      }
      if (recent?.kind === 'whole') return { messages: await withSenders(whole(recent)), upTo: recent.upTo };
      if (recent?.kind === 'deep') {
        throw unavailable(
          'Too many messages of this chat are not stored yet for a page this deep. Follow the Link header of an earlier page instead.',
        );
      }
      const page = await fromBoth(chat, query, recent);
      if (page.length === 0 && !isSure && stored === undefined) throw notKnownYet('chat');
      return { messages: await withSenders(page), upTo: recent?.upTo };
    },

    /** `upTo`: as of a page. @throws not-found, unavailable */
    message: async (
      chat: ChatReference,
      messageNumber: number,
    ): Promise<Message & { upTo?: number | undefined }> => {
      const known = await ifAvailable(recentMessages.messages([{ ...chat, messageNumber }]));
      const recent = known?.found[0];
      if (recent === 'missing') throw notFound('message');
      const find = () => messages.find([{ ...chat, messageNumber }]);
      let message = recent?.message;
      if (!recent?.isAuthoritative) {
        // After a rollback, Redis' copy may lack an edit or a deletion, so it is not shown without MySQL's.
        const [stored, rows] = await Promise.all([chats.find(chat.token, chat.chatNumber), find()]);
        if (stored?.isDeleted) throw notFound('chat');
        [message] = mergeByNumber(message === undefined ? [] : [message], rows);
      } else if (message === undefined) [message] = await find();
      if (message === undefined) throw recent?.isAuthoritative ? notFound('message') : notKnownYet('message');
      const [shown = message] = await withSenders([applyEdit(message, recent?.edit)]);
      return { ...shown, upTo: recent?.isAuthoritative ? known?.upTo : undefined };
    },
  };
};

export type Conversation = ReturnType<typeof createConversation>;
