import type { ItemReference } from '#lib/domain/reference.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Messages } from '#lib/mysql/messages.ts';

/** Reads who may edit a stored item, and its version. */
export const createFindStored =
  ({
    applications,
    messages,
  }: {
    applications: Pick<Applications, 'find'>;
    messages: Pick<Messages, 'find'>;
  }) =>
  async (item: ItemReference): Promise<{ ownerId: number; version: number } | undefined> => {
    if (item.messageNumber !== undefined) {
      const [message] = await messages.find([item]);
      return message && { ownerId: message.senderId, version: message.version };
    }
    const application = await applications.find(item.token);
    return application && { ownerId: application.creatorId, version: application.version };
  };
