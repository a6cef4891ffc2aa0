import * as z from 'zod';
import { name, token } from '../fields.ts';
import { command } from './command.ts';
import { hasIdOfEpoch, noId, origin, toEdit } from './fields.ts';

export const updateApplicationCommand = command({
  queue: 'update-application',
  function: 'persistApplicationUpdate',
  item: 'application',
  parent: 'application',
  outbox: true,
  schema: z
    .object({ token, name, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
