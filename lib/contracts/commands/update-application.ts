import * as z from 'zod';
import { name, token } from '../fields.ts';
import { command } from './command.ts';
import { deleted, hasIdOfEpoch, noId, origin, toEdit } from './fields.ts';

const hasNameUnlessDeleted = ({ name, deleted }: { name?: string | null | undefined; deleted?: unknown }) =>
  (deleted === true) === ((name ?? undefined) === undefined);
const notNamed = { path: ['name'], error: 'Must be absent beside `deleted`, and only there' };

/** A new name of an application, or its deletion. */
export const updateApplicationCommand = command({
  queue: 'update-application',
  function: 'persistApplicationUpdate',
  item: 'application',
  parent: 'application',
  outbox: true,
  schema: z
    .object({ token, name: name.nullish(), deleted, ...origin })
    .refine(hasNameUnlessDeleted, notNamed)
    .refine(hasIdOfEpoch, noId)
    .transform(toEdit),
});
