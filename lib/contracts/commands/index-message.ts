import * as z from 'zod';
import { handle, token } from '../fields.ts';
import { command } from './command.ts';
import {
  bodyOrNone,
  date,
  deleted,
  isEmptyIfDeleted,
  micros,
  notEmptied,
  number,
  senderName,
} from './fields.ts';

/** The format of the index: UTC with milliseconds. */
const indexedInstant = date.transform((ms) => new Date(ms).toISOString());

/** A message as MySQL has it. Publishing it again does no harm, because the index keeps the newest version. */
export const indexMessageCommand = command({
  queue: 'index-message',
  function: 'indexMessage',
  item: 'message',
  parent: 'chat',
  outbox: false,
  schema: z
    .object({
      token,
      chatNumber: number,
      messageNumber: number,
      sender: handle.nullish(),
      senderName,
      body: bodyOrNone,
      createdAt: indexedInstant,
      editedAt: indexedInstant.nullish(),
      deleted,
      version: micros,
    })
    .refine(isEmptyIfDeleted, notEmptied),
});
