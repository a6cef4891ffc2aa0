import type { DeletedItems, Place } from '#lib/mysql/deleted-items.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { RecentMessages } from '#lib/redis/window/recent-messages.ts';
import type { ErasureStep } from './erasure.ts';

type Uses = {
  deletedItems: DeletedItems;
  recentMessages: Pick<RecentMessages, 'forget'>;
  messageIndex: Pick<MessageIndex, 'removeChats'>;
  now: () => number;
};

/** The chats of a deleted application are deleted, too, so that the other steps find them. */
export const deleteChatsOfApplications = ({
  deletedItems,
  now,
}: Pick<Uses, 'deletedItems' | 'now'>): ErasureStep => {
  /** As far as this process knows. */
  let place: Place | undefined;
  return {
    name: 'chatsOfApplications',
    slice: async () => {
      const ended = await deletedItems.deleteChats(now(), place);
      place = ended;
      return ended?.erased ?? 0;
    },
  };
};

/**
 * Removes the messages of deleted chats from MySQL and Redis, and then asks for their removal from the index, in this order: what
 * the index takes up meanwhile comes from a row that was there before. The chats' own rows stay, without a title.
 */
export const eraseChats = ({
  deletedItems,
  recentMessages,
  now,
}: Omit<Uses, 'messageIndex'>): ErasureStep => ({
  name: 'chats',
  slice: async () => {
    const chats = await deletedItems.dueChats(now());
    if (chats.length === 0) return 0;
    const removed = await deletedItems.removeRows(chats);
    if (removed > 0) return removed;
    await recentMessages.forget(chats);
    await deletedItems.postpone(chats, now());
    return chats.length;
  },
});

/** Removes the messages of erased chats from the index. A step of its own: a search outage stops no other. */
export const unindexChats = ({
  deletedItems,
  messageIndex,
  now,
}: Omit<Uses, 'recentMessages'>): ErasureStep => ({
  name: 'index',
  slice: async () => {
    const beganMs = now();
    const chats = await deletedItems.indexedChats(beganMs);
    if (chats.length === 0) return 0;
    const removed = await messageIndex.removeChats(chats);
    if (removed > 0) return removed;
    await deletedItems.noteUnindexed(chats, beganMs);
    return chats.length;
  },
});
