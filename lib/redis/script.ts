import { createHash } from 'node:crypto';
import type { Connection } from './client.ts';

export type Script = { source: string; sha: string };

/** Lua that several scripts share, put before each of them. */
const prelude = /* lua */ `
local function runId()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
-- The counters are trusted for one run of the server only: another run id means a restart, maybe with an older state.
local function isOpen(state)
  return redis.call('HGET', state, 'run') == runId()
end
local function nowMicros()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
-- Since when numbering is refused, for this run of the server: an older copy may hold the time of an earlier one.
local function closedAtField()
  return 'closedAt:' .. runId()
end
local function refuse(state)
  redis.call('HSETNX', state, closedAtField(), string.format('%.0f', nowMicros()))
  return { 'closed' }
end
-- Microseconds since the epoch, higher at every call: names a command and is the version of what it writes.
local function nextId(state)
  local id = nowMicros()
  local last = tonumber(redis.call('HGET', state, 'clock') or '0')
  if id <= last then id = last + 1 end
  return string.format('%.0f', id)
end
local function with(json, fields)
  return string.sub(json, 1, -2) .. ',' .. fields .. '}'
end
local function fromOutbox(outbox, id)
  local found = redis.call('XRANGE', outbox, id .. '-0', id .. '-0')
  return found[1] and found[1][2][2]
end
`;

export const script = (source: string): Script => {
  const whole = prelude + source;
  return { source: whole, sha: createHash('sha1').update(whole).digest('hex') };
};

/** Runs a script by its digest; sends its text only to a server that does not know it. */
export const runScript = async (
  { redis }: Connection,
  { source, sha }: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> => {
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(source, keys.length, ...keys, ...args);
  }
};
