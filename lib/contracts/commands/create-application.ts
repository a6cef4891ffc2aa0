import * as z from 'zod';
import { name, token } from '../fields.ts';
import { command } from './command.ts';
import { hasIdOfEpoch, id, noId, origin, toCreation } from './fields.ts';

export const createApplicationCommand = command({
  queue: 'create-application',
  function: 'persistApplication',
  item: 'application',
  creates: 'token',
  outbox: true,
  schema: z
    .object({ token, name, creatorId: id, ...origin })
    .refine(hasIdOfEpoch, noId)
    .transform(toCreation),
});
