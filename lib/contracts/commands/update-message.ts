import * as z from 'zod';
import { token } from '../fields.ts';
import { command } from './command.ts';
import {
  bodyOrNone,
  deleted,
  hasIdOfEpoch,
  isEmptyIfDeleted,
  noId,
  notEmptied,
  number,
  origin,
  toEdit,
} from './fields.ts';

/** A new text of a message, or its deletion. */
export const updateMessageCommand = command({
  queue: 'update-message',
  function: 'persistMessageUpdate',
  item: 'message',
  parent: 'chat',
  outbox: true,
  schema: z
    .object({ token, chatNumber: number, messageNumber: number, body: bodyOrNone, deleted, ...origin })
    .refine(isEmptyIfDeleted, notEmptied)
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
