import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { DELETED, marks } from '../gate/gate.lua.ts';
import { defineAccept } from './accept.ts';
import { names } from './create-application.ts';
import { defineSettle, type Erasable } from './settle.ts';

/** The new name is shown until MySQL has it. A deletion leaves a mark in the application's counter. */
export const acceptApplicationUpdate = defineAccept(updateApplicationCommand, {
  uses: [marks],
  callerId: ({ callerId }) => callerId,
  counter: ({ token }) => ({ token }),
  edits: {
    item: ({ token }) => ({ token }),
    expected: ({ expected }) => expected,
    deletes: ({ deleted }) => deleted === true,
    find: /* lua */ `
  local known
  owner, version, known = unpack(redis.call('HMGET', application, 'creator', 'version', 'lost'))
  -- A name from before a loss may be older than MySQL's. The creator never changes.
  if known ~= (lost or '0') then version = nil end
`,
  },
  write: ({ token, name, deleted }, date) => ({
    token,
    ...(name === undefined ? {} : { name }),
    ...(deleted ? { deleted } : {}),
    date,
  }),
  answer: () => undefined,
  keys: {
    application: (keys, { token }) => keys.application(token),
    pending: (keys, { callerId }) => keys.pendingApplications(callerId),
  },
  args: { name: ({ name }) => name ?? '' },
  apply: /* lua */ `
  if deletes ~= '' then
    redis.call('ZREM', pending, parent)
    markDeleted(counter, dirty, parent)
  end
  redis.call('HSET', application, 'name', name, 'creator', owner, 'version', id, 'lost', lost or '0')
  redis.call('HINCRBY', application, 'pending', 1)
  redis.call('PERSIST', application)
`,
});

export const settleApplicationUpdates = defineSettle<typeof updateApplicationCommand, Erasable>(
  updateApplicationCommand,
  {
    uses: [names, marks],
    counter: ({ token }) => ({ token }),
    number: () => 0,
    row: ({ isDeleted }) => (isDeleted ? DELETED : undefined),
    keys: { application: (keys, { token }) => keys.application(token) },
    forget: 'for i, id in ipairs(ids) do forgetName(application, id, isOurs[i], versions[i]) end',
    stored: /* lua */ `
  if rows['0'] then markStored(counter, dirty, parent) end
`,
  },
);
