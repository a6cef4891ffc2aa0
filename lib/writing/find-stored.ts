import { isDeleted } from '#lib/domain/message.ts';
import type { ItemReference } from '#lib/domain/reference.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';

/** Reads who may edit a stored item, its version, and whether it is deleted. */
export const createFindStored =
  ({
    applications,
    chats,
    messages,
  }: {
    applications: Pick<Applications, 'find'>;
    chats: Pick<Chats, 'find'>;
    messages: Pick<Messages, 'find'>;
  }) =>
  async (
    item: ItemReference,
  ): Promise<{ ownerId: number; version: number; isDeleted?: boolean } | undefined> => {
    if (item.messageNumber !== undefined) {
      const [message] = await messages.find([item]);
      return (
        message && { ownerId: message.senderId, version: message.version, isDeleted: isDeleted(message) }
      );
    }
    if (item.chatNumber !== undefined) {
      const chat = await chats.find(item.token, item.chatNumber);
      return chat && !chat.isDeleted ? { ownerId: chat.creatorId, version: chat.version } : undefined;
    }
    const application = await applications.find(item.token);
    return application && !application.isDeleted
      ? { ownerId: application.creatorId, version: application.version }
      : undefined;
  };
