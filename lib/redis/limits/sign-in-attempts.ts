import type { EmailAddress } from '#lib/domain/email-address.ts';
import { KnownError } from '#lib/domain/errors.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';

/** The failures of one client address with one account after which it waits for the rest of the window. */
const ATTEMPTS = 5;
const ATTEMPTS_WINDOW_SECONDS = 5 * 60;
/** The failures of an account from all addresses after which unknown addresses are delayed. */
const FREE_FAILURES = 10;
const LONGEST_DELAY_SECONDS = 30;
const FAILURES_KEPT_SECONDS = 60 * 60;
/** How long an address keeps its turn once the delay is over. */
const TURN_KEPT_SECONDS = 10 * 60;
const KNOWN_SECONDS = 30 * 24 * 60 * 60;

/**
 * Counts an attempt as failed before the password is checked, so that concurrent attempts cannot exceed the limit.
 *
 * - `attempts`: the failures of the address with the account
 * - `account`: a hash with `failures` and `lastMs`
 * - `known`: the address has signed in before
 * - `turn`: the time at which the address may try
 *
 * Returns {'begun'} · {'attempts' | 'account', milliseconds to wait}.
 */
const begin = defineScript(
  {
    keys: ['attempts', 'account', 'known', 'turn'],
    args: ['mostAttempts', 'windowSeconds', 'freeFailures', 'longestSeconds', 'keptSeconds', 'turnSeconds'],
  },
  /* lua */ `
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(redis.call('GET', attempts) or '0') >= tonumber(mostAttempts) then
  return { 'attempts', redis.call('PTTL', attempts) }
end
local failures = tonumber(redis.call('HGET', account, 'failures') or '0')
if failures >= tonumber(freeFailures) and redis.call('EXISTS', known) == 0 then
  -- Each address gets a turn of its own, which other addresses cannot take.
  local delayMs = math.min(tonumber(longestSeconds), 2 ^ (failures - freeFailures)) * 1000
  local quietAtMs = tonumber(redis.call('HGET', account, 'lastMs') or '0') + delayMs
  local turnAtMs = tonumber(redis.call('GET', turn) or '0')
  if nowMs < quietAtMs and (turnAtMs == 0 or nowMs < turnAtMs) then
    if turnAtMs == 0 then
      turnAtMs = nowMs + delayMs
      redis.call('SET', turn, string.format('%.0f', turnAtMs), 'PX', delayMs + turnSeconds * 1000)
    end
    return { 'account', turnAtMs - nowMs }
  end
  redis.call('DEL', turn)
end
if redis.call('INCR', attempts) == 1 then redis.call('EXPIRE', attempts, windowSeconds) end
redis.call('HINCRBY', account, 'failures', 1)
redis.call('HSET', account, 'lastMs', string.format('%.0f', nowMs))
redis.call('EXPIRE', account, keptSeconds)
return { 'begun' }
`,
  expecting<['begun'] | ['attempts' | 'account', waitMs: number]>,
);

/** Takes back the count of an attempt that succeeded, and remembers its address. */
const succeed = defineScript(
  { keys: ['attempts', 'account', 'known', 'turn'], args: ['knownSeconds'] },
  /* lua */ `
redis.call('DEL', attempts, turn)
redis.call('SET', known, '1', 'EX', knownSeconds)
if redis.call('EXISTS', account) == 1 and redis.call('HINCRBY', account, 'failures', -1) <= 0 then
  redis.call('DEL', account)
end
`,
);

/** The account of a sign-in attempt, and its client address. */
export type Attempt = { email: EmailAddress; source: string };

const bounds = {
  mostAttempts: ATTEMPTS,
  windowSeconds: ATTEMPTS_WINDOW_SECONDS,
  freeFailures: FREE_FAILURES,
  longestSeconds: LONGEST_DELAY_SECONDS,
  keptSeconds: FAILURES_KEPT_SECONDS,
  turnSeconds: TURN_KEPT_SECONDS,
};

/**
 * Limits failed sign-ins by account and client address. No client can lock out another one: an address that
 * signed in within 30 days is exempt from the account's delay, and any other address waits at most 30
 * seconds.
 * @param hash hashes accounts and addresses, so that Redis stores neither
 */
export const createSignInAttempts = ({
  client,
  keys,
  hash,
}: {
  client: RedisClient;
  keys: Keys;
  hash: (text: string) => string;
}) => {
  const keysOf = ({ email, source }: Attempt) => {
    const pair = hash(`${email} ${source}`);
    return {
      attempts: keys.signIn('attempts', pair),
      account: keys.signIn('account', hash(email)),
      known: keys.signIn('known', pair),
      turn: keys.signIn('turn', pair),
    };
  };
  return {
    /** @throws too-many-requests, with the seconds to wait; unavailable without Redis */
    begin: async (attempt: Attempt): Promise<void> => {
      const [outcome, waitMs] = await guarded(client, (connection) =>
        runScript(connection, begin, { ...keysOf(attempt), ...bounds }),
      );
      if (outcome === 'begun') return;
      throw new KnownError('too-many-requests', 'Too many failed sign-ins. Try again later.', {
        retryAfterSeconds: Math.max(1, Math.ceil((waitMs ?? 0) / 1_000)),
        logCode: outcome === 'attempts' ? 'sign-in-locked' : 'sign-in-delayed',
      });
    },
    /** Forgets the attempt's failures, and remembers the address. */
    succeeded: async (attempt: Attempt): Promise<void> => {
      await guarded(client, (connection) =>
        runScript(connection, succeed, { ...keysOf(attempt), knownSeconds: KNOWN_SECONDS }),
      );
    },
  };
};

export type SignInAttempts = ReturnType<typeof createSignInAttempts>;
