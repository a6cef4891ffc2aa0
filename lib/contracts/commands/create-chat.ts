import * as z from 'zod';
import { title, token } from '../fields.ts';
import { command } from './command.ts';
import { hasIdOfEpoch, id, noId, number, origin, toCreation } from './fields.ts';

export const createChatCommand = command({
  queue: 'create-chat',
  function: 'persistChat',
  item: 'chat',
  parent: 'application',
  creates: 'chatNumber',
  outbox: true,
  schema: z
    .object({ token, chatNumber: number, creatorId: id, title: title.nullish(), ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(toCreation),
});
