import * as z from 'zod';
import { name, token } from '../fields.ts';
import { command } from './command.ts';
import { ahead, isNotAhead, origin, toEdit } from './fields.ts';

export const updateApplicationCommand = command({
  queue: 'update-application',
  function: 'persistApplicationUpdate',
  item: 'application',
  parent: 'application',
  outbox: true,
  schema: z
    .object({ token, name, ...origin })
    .refine(isNotAhead, ahead)
    .transform(toEdit),
});
