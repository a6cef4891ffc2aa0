import * as z from 'zod';
import { body, handle, token } from '../fields.ts';
import { command } from './command.ts';
import {
  hasIdOfEpoch,
  hasNameOfRequest,
  id,
  noId,
  noNameOfRequest,
  number,
  origin,
  senderName,
  toCreation,
} from './fields.ts';

export const createMessageCommand = command({
  queue: 'create-message',
  function: 'persistMessage',
  item: 'message',
  parent: 'chat',
  creates: 'messageNumber',
  outbox: true,
  schema: z
    .object({
      token,
      chatNumber: number,
      messageNumber: number,
      senderId: id,
      sender: handle.nullish(),
      senderName: senderName.nullish(),
      body,
      ...origin,
    })
    .refine(hasIdOfEpoch, noId)
    .refine(hasNameOfRequest, noNameOfRequest)
    .transform(toCreation),
});
