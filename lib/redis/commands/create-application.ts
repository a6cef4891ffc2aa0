import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import type { LuaModule } from '../script/script.ts';
import { defineAccept } from './accept.ts';
import { defineSettle } from './settle.ts';

/** The application can be used at once: its counter begins, and its name and creator are kept until MySQL has them. */
export const acceptApplication = defineAccept(createApplicationCommand, {
  callerId: ({ creatorId }) => creatorId,
  counter: ({ token }) => ({ token }),
  write: ({ token, name, creatorId }, date) => ({ token, name, creatorId, date }),
  answer: String,
  keys: {
    application: (keys, { token }) => keys.application(token),
    pending: (keys, { creatorId }) => keys.pendingApplications(creatorId),
  },
  args: { name: ({ name }) => name, creator: ({ creatorId }) => creatorId },
  apply: /* lua */ `
  redis.call('SET', counter, 0)
  if verifying then redis.call('SADD', verified, parent) end
  redis.call('HSET', application, 'name', name, 'creator', creator, 'version', id, 'pending', 1, 'lost', lost or '0')
  redis.call('ZADD', pending, id, parent)
`,
});

/** The name of an application expires an hour after its last pending command. */
export const names: LuaModule = {
  lua: /* lua */ `
local function forgetName(application, id, wasOurs, isStored)
  local version = redis.call('HGET', application, 'version')
  if version and wasOurs then
    if redis.call('HINCRBY', application, 'pending', -1) <= 0 then redis.call('EXPIRE', application, 3600) end
  elseif version and isStored and tonumber(version) < tonumber(id) then
    redis.call('DEL', application) -- another program's command: MySQL knows better
  end
end
`,
};

export const settleApplications = defineSettle(createApplicationCommand, {
  uses: [names],
  counter: ({ token }) => ({ token }),
  number: () => 0,
  differs: ({ creatorId }) => creatorId,
  keys: {
    application: (keys, { token }) => keys.application(token),
    pending: (keys, { creatorId }) => keys.pendingApplications(creatorId),
  },
  forget: /* lua */ `
  for i, id in ipairs(ids) do
    forgetName(application, id, isOurs[i], versions[i])
    if isOurs[i] or versions[i] then redis.call('ZREM', pending, parent) end
  end
`,
});
