import { script } from './script.ts';

/** KEYS state. Answers ['open'] or ['closed', microseconds since the gate closed]. Notes the time when it is the first to see it. */
export const gateStatus = script(/* lua */ `
if isOpen(KEYS[1]) then return { 'open' } end
refuse(KEYS[1])
return { 'closed', string.format('%.0f', nowMicros() - tonumber(redis.call('HGET', KEYS[1], closedAtField()))), runId() }
`);

/** KEYS counters · ARGV for each the least that it must be. Answers how many were raised. */
export const raiseCounters = script(/* lua */ `
local raised = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '-1') < tonumber(ARGV[i]) then
    redis.call('SET', key, ARGV[i])
    raised = raised + 1
  end
end
return raised
`);

/**
 * KEYS state, then what is kept of applications. Forgets what was kept before the gate closed: MySQL has it by now, and
 * an older copy of the server's data may hold a name that is not the newest any more.
 */
export const forgetApplications = script(/* lua */ `
local closedAt = redis.call('HGET', KEYS[1], closedAtField())
if not closedAt then return 0 end
local forgotten = 0
for i = 2, #KEYS do
  local version = redis.call('HGET', KEYS[i], 'version')
  if version and tonumber(version) < tonumber(closedAt) then forgotten = forgotten + redis.call('DEL', KEYS[i]) end
end
return forgotten
`);

/** KEYS state · ARGV run id for which the counters were rebuilt. Answers 'open', or 'restarted' when it is another run. */
export const openGate = script(/* lua */ `
if runId() ~= ARGV[1] then return 'restarted' end
redis.call('HSET', KEYS[1], 'run', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 9) == 'closedAt:' then redis.call('HDEL', KEYS[1], field) end
end
return 'open'
`);
