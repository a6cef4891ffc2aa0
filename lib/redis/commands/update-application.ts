import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { defineAccept } from './accept.ts';
import { names } from './create-application.ts';
import { defineSettle } from './settle.ts';

/** The new name is shown until MySQL has it. */
export const acceptApplicationUpdate = defineAccept(updateApplicationCommand, {
  callerId: ({ callerId }) => callerId,
  counter: ({ token }) => ({ token }),
  edits: {
    item: ({ token }) => ({ token }),
    expected: ({ expected }) => expected,
    find: /* lua */ `
  local known
  owner, version, known = unpack(redis.call('HMGET', application, 'creator', 'version', 'lost'))
  -- A name from before a loss may be older than MySQL's. The creator never changes.
  if known ~= (lost or '0') then version = nil end
`,
  },
  write: ({ token, name }, date) => ({ token, name, date }),
  answer: () => undefined,
  keys: { application: (keys, { token }) => keys.application(token) },
  args: { name: ({ name }) => name },
  apply: /* lua */ `
  redis.call('HSET', application, 'name', name, 'creator', owner, 'version', id, 'lost', lost or '0')
  redis.call('HINCRBY', application, 'pending', 1)
  redis.call('PERSIST', application)
`,
});

export const settleApplicationUpdates = defineSettle(updateApplicationCommand, {
  uses: [names],
  counter: ({ token }) => ({ token }),
  number: () => 0,
  keys: { application: (keys, { token }) => keys.application(token) },
  forget: 'for i, id in ipairs(ids) do forgetName(application, id, isOurs[i], versions[i]) end',
});
