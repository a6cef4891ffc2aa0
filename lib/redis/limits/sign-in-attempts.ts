import { randomUUID } from 'node:crypto';
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

/** An attempt that nobody ends, because its process died, counts for this long. A function runs for 10 seconds. */
const RUNNING_SECONDS = 15;

/**
 * Lets an attempt begin. It counts as running until it ends, so concurrent attempts cannot exceed the limits. Only a
 * wrong password makes it a failure.
 *
 * - `attempts`: the failures of the address with the account
 * - `account`: a hash with `failures`, and `lastMs`, the time of the latest attempt
 * - `known`: the address has signed in before
 * - `turn`: the time at which the address may try
 * - `running`, `accountRunning`: the running attempts of the address and of the account, each by the time of its end
 *
 * Returns {'begun'} · {'attempts' | 'account', milliseconds to wait}.
 */
const begin = defineScript(
  {
    keys: ['attempts', 'account', 'known', 'turn', 'running', 'accountRunning'],
    args: [
      'attempt',
      'mostAttempts',
      'freeFailures',
      'longestSeconds',
      'keptSeconds',
      'turnSeconds',
      'runningSeconds',
    ],
  },
  /* lua */ `
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
local now = string.format('%.0f', nowMs)
-- Without this attempt, because a call may run twice. Nothing is written before the refusals.
local function countOf(set)
  local others = redis.call('ZCOUNT', set, now, '+inf')
  if redis.call('ZSCORE', set, attempt) then return others - 1 end
  return others
end
local failed = tonumber(redis.call('GET', attempts) or '0')
if failed >= tonumber(mostAttempts) then return { 'attempts', redis.call('PTTL', attempts) } end
if failed + countOf(running) >= tonumber(mostAttempts) then return { 'attempts', 1000 } end
local failures = tonumber(redis.call('HGET', account, 'failures') or '0') + countOf(accountRunning)
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
redis.call('HSET', account, 'lastMs', now)
redis.call('EXPIRE', account, keptSeconds)
local untilMs = string.format('%.0f', nowMs + runningSeconds * 1000)
for _, set in ipairs({ running, accountRunning }) do
  redis.call('ZADD', set, untilMs, attempt)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  redis.call('EXPIRE', set, runningSeconds)
end
return { 'begun' }
`,
  expecting<['begun'] | ['attempts' | 'account', waitMs: number]>,
);

/** Makes a running attempt a failure. A second run of the same call changes nothing. */
const fail = defineScript(
  {
    keys: ['attempts', 'account', 'running', 'accountRunning'],
    args: ['attempt', 'windowSeconds', 'keptSeconds'],
  },
  /* lua */ `
local ended = redis.call('ZREM', running, attempt)
redis.call('ZREM', accountRunning, attempt)
if ended == 0 then return end
if redis.call('INCR', attempts) == 1 then redis.call('EXPIRE', attempts, windowSeconds) end
redis.call('HINCRBY', account, 'failures', 1)
redis.call('EXPIRE', account, keptSeconds)
`,
);

/** Forgets the failures of an address that knew the password, and remembers the address. */
const succeed = defineScript(
  { keys: ['attempts', 'known', 'turn', 'running', 'accountRunning'], args: ['attempt', 'knownSeconds'] },
  /* lua */ `
redis.call('ZREM', running, attempt)
redis.call('ZREM', accountRunning, attempt)
redis.call('DEL', attempts, turn)
redis.call('SET', known, '1', 'EX', knownSeconds)
`,
);

/** Forgets an attempt whose password nobody looked at, and lets its address try again without a delay. */
const cancel = defineScript(
  { keys: ['turn', 'running', 'accountRunning'], args: ['attempt', 'turnSeconds'] },
  /* lua */ `
redis.call('ZREM', accountRunning, attempt)
if redis.call('ZREM', running, attempt) == 1 then redis.call('SET', turn, '1', 'EX', turnSeconds) end
`,
);

/** The account of a sign-in attempt, and its client address. */
export type Attempt = { email: EmailAddress; source: string };

const bounds = {
  mostAttempts: ATTEMPTS,
  freeFailures: FREE_FAILURES,
  longestSeconds: LONGEST_DELAY_SECONDS,
  keptSeconds: FAILURES_KEPT_SECONDS,
  turnSeconds: TURN_KEPT_SECONDS,
  runningSeconds: RUNNING_SECONDS,
};

/** The running attempts of one pair of account and address. */
type Names = Record<'attempts' | 'account' | 'known' | 'turn' | 'running' | 'accountRunning', string>;

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
  const namesOf = ({ email, source }: Attempt): Names => {
    const pair = hash(`${email} ${source}`);
    return {
      attempts: keys.signIn('attempts', pair),
      account: keys.signIn('account', hash(email)),
      known: keys.signIn('known', pair),
      turn: keys.signIn('turn', pair),
      running: keys.signIn('running', pair),
      accountRunning: keys.signIn('account-running', hash(email)),
    };
  };

  const beginAttempt = async (names: Names, attempt: string): Promise<void> => {
    const [outcome, waitMs] = await guarded(client, runScript(begin, { ...names, ...bounds, attempt }));
    if (outcome === 'begun') return;
    throw new KnownError('too-many-requests', 'Too many failed sign-ins. Try again later.', {
      retryAfterSeconds: Math.max(1, Math.ceil((waitMs ?? 0) / 1_000)),
      logCode: outcome === 'attempts' ? 'sign-in-locked' : 'sign-in-delayed',
    });
  };

  const failAttempt = (names: Names, attempt: string): Promise<void> =>
    guarded(client, async (connection) => {
      const args = { attempt, windowSeconds: ATTEMPTS_WINDOW_SECONDS, keptSeconds: FAILURES_KEPT_SECONDS };
      await runScript(fail, { ...names, ...args })(connection);
    });

  const succeedAttempt = (names: Names, attempt: string): Promise<void> =>
    guarded(client, async (connection) => {
      await runScript(succeed, { ...names, attempt, knownSeconds: KNOWN_SECONDS })(connection);
    });

  /** Without Redis the attempt ends by itself soon. */
  const cancelAttempt = (names: Names, attempt: string): Promise<void> =>
    guarded(client, async (connection) => {
      await runScript(cancel, { ...names, attempt, turnSeconds: TURN_KEPT_SECONDS })(connection);
    }).catch(() => undefined);

  /**
   * Looks at the password of an attempt, unless the account or its address has to wait. Only a look that says "wrong"
   * counts as a failure; one that throws counts nothing.
   * @param look returns undefined for a wrong password
   * @returns what `look` returned
   * @throws too-many-requests, with the seconds to wait; unavailable without Redis; the error of `look`
   */
  const attempt = async <Found>(
    of: Attempt,
    look: () => Promise<Found | undefined>,
  ): Promise<Found | undefined> => {
    const names = namesOf(of);
    const id = randomUUID();
    await beginAttempt(names, id);
    let found: Found | undefined;
    try {
      found = await look();
    } catch (error) {
      await cancelAttempt(names, id);
      throw error;
    }
    await (found === undefined ? failAttempt(names, id) : succeedAttempt(names, id));
    return found;
  };
  return { attempt };
};

export type SignInAttempts = ReturnType<typeof createSignInAttempts>;
