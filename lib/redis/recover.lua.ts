import { script } from './script.ts';

/** KEYS state. Answers ['open'] or ['closed', microseconds since the gate closed]. Notes the time when it is the first to see it. */
export const gateStatus = script(/* lua */ `
if isOpen(KEYS[1]) then return { 'open' } end
refuse(KEYS[1])
return { 'closed', string.format('%.0f', nowMicros() - tonumber(redis.call('HGET', KEYS[1], 'closedAt'))), runId() }
`);

/** KEYS counters · ARGV for each the least that it must be. Answers how many were raised. */
export const raiseCounters = script(/* lua */ `
local raised = 0
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value or tonumber(value) < tonumber(ARGV[i]) then
    redis.call('SET', key, ARGV[i])
    raised = raised + 1
  end
end
return raised
`);

/** KEYS state · ARGV run id for which the counters were rebuilt. Answers 'open', or 'restarted' when it is another run. */
export const openGate = script(/* lua */ `
if runId() ~= ARGV[1] then return 'restarted' end
redis.call('HSET', KEYS[1], 'run', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HDEL', KEYS[1], 'closedAt')
return 'open'
`);
