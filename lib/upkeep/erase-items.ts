import type { DeletedItems } from '#lib/mysql/deleted-items.ts';
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
}: Pick<Uses, 'deletedItems' | 'now'>): ErasureStep => ({
  name: 'chatsOfApplications',
  slice: () => deletedItems.deleteChats(now()),
});

/**
 * Removes the messages of deleted chats from MySQL, Redis and the index, in this order: what the index takes up meanwhile comes
 * from a row that was there before. The chats' own rows stay, without a title.
 */
export const eraseChats = ({ deletedItems, recentMessages, messageIndex, now }: Uses): ErasureStep => ({
  name: 'chats',
  slice: async () => {
    const chats = await deletedItems.dueChats(now());
    if (chats.length === 0) return 0;
    const removed = await deletedItems.removeRows(chats);
    if (removed > 0) return removed;
    await recentMessages.forget(chats);
    const unindexed = await messageIndex.removeChats(chats);
    if (unindexed > 0) return unindexed;
    await deletedItems.postpone(chats, now());
    return chats.length;
  },
});
