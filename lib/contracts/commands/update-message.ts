import * as z from 'zod';
import { body, token } from '../fields.ts';
import { command } from './command.ts';
import { hasIdOfEpoch, noId, number, origin, toEdit } from './fields.ts';

export const updateMessageCommand = command({
  queue: 'update-message',
  function: 'persistMessageUpdate',
  item: 'message',
  parent: 'chat',
  outbox: true,
  schema: z
    .object({ token, chatNumber: number, messageNumber: number, body, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
