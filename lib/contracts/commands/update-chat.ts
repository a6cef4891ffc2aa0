import * as z from 'zod';
import { title, token } from '../fields.ts';
import { command } from './command.ts';
import { deleted, hasIdOfEpoch, noId, number, origin, toEdit } from './fields.ts';

const hasNoTitleIfDeleted = ({ title, deleted }: { title?: string | null | undefined; deleted?: unknown }) =>
  deleted !== true || (title ?? undefined) === undefined;
const notTitled = { path: ['title'], error: 'Must be absent beside `deleted`' };

/** A new title of a chat, or none; or the deletion of the chat. */
export const updateChatCommand = command({
  queue: 'update-chat',
  function: 'persistChatUpdate',
  item: 'chat',
  parent: 'chat',
  outbox: true,
  schema: z
    .object({ token, chatNumber: number, title: title.nullish(), deleted, ...origin })
    .refine(hasNoTitleIfDeleted, notTitled)
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
