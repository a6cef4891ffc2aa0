import * as z from 'zod';
import { title, token } from '../fields.ts';
import { command } from './command.ts';
import { hasIdOfEpoch, noId, number, origin, toEdit } from './fields.ts';

/** Without a title, the edit removes it. */
export const updateChatCommand = command({
  queue: 'update-chat',
  function: 'persistChatUpdate',
  item: 'chat',
  parent: 'chat',
  outbox: true,
  schema: z
    .object({ token, chatNumber: number, title: title.nullish(), ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
