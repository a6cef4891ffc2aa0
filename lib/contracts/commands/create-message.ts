import * as z from 'zod';
import { body, token } from '../fields.ts';
import { command } from './command.ts';
import { ahead, id, isNotAhead, number, origin, senderName, toCreation } from './fields.ts';

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
      senderName: senderName.nullish(),
      body,
      ...origin,
    })
    .refine(isNotAhead, ahead)
    .transform(toCreation),
});
