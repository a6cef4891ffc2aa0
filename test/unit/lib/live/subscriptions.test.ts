import { describe, expect, it } from 'vitest';
import { unauthenticated, unavailable } from '#lib/domain/errors.ts';
import { createSubscriptions } from '#lib/live/subscriptions.ts';
import type { Connections } from '#lib/redis/live/connections.ts';

const nowMs = Date.UTC(2026, 0, 1);
const young = { id: 'one=', connectedAtMs: nowMs - 1_000, address: '127.0.0.1' };
const old = { ...young, connectedAtMs: nowMs - 60_000 };
const chat = { token: 'app', chatNumber: 1 };
type Script = Pick<Connections, 'authenticate' | 'subscribe' | 'ping' | 'unsubscribe'>;

const subscriptionsWith = (
  scripts: Partial<Script>,
  { isTokenBad = false, badTokens = 1, exists = true } = {},
) => {
  let recoveries = 0;
  const verified: unknown[] = [];
  const closed = async () => ({ kind: 'closed' }) as const;
  const subscriptions = createSubscriptions({
    connections: { authenticate: closed, subscribe: closed, ping: closed, unsubscribe: closed, ...scripts },
    verifyCounters: async (counters) => {
      verified.push(counters);
      return exists;
    },
    accessTokens: {
      open: async () => {
        if (isTokenBad) throw unauthenticated('The access token is not valid.', 'token-invalid');
        return { caller: { id: 7, name: 'Ada', generation: 1 }, expiresAtMs: nowMs + 90_500 };
      },
    },
    limiter: {
      limitOf: () => ({ count: 1, seconds: 60 }),
      take: () => ({
        isFar: false,
        giveBack: async () => undefined,
        quota: Promise.resolve({ remaining: 0, resetSeconds: 1, exceeded: badTokens > 1 }),
      }),
    },
    pingSeconds: 30,
    askForRecovery: () => {
      recoveries += 1;
    },
    now: () => nowMs,
  });
  return { subscriptions, verified, recoveries: () => recoveries };
};
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'answered',
    (error) => error.code,
  );

describe('authenticate', () => {
  it('answers the rest of the token and how often to ping', async () => {
    const { subscriptions } = subscriptionsWith({ authenticate: async () => ({ kind: 'authenticated' }) });
    expect(await subscriptions.authenticate(young, 'token')).toEqual({
      type: 'authenticated',
      expiresIn: 90,
      pingSeconds: 30,
    });
  });

  it.each([
    ['ended', 'unauthenticated'],
    ['another', 'conflict'],
  ] as const)('that is %s is refused as %s', async (kind, code) => {
    const { subscriptions } = subscriptionsWith({ authenticate: async () => ({ kind }) });
    expect(await codeOf(subscriptions.authenticate(young, 'token'))).toBe(code);
  });

  it('of the 21st connection is refused, and ends it', async () => {
    const { subscriptions } = subscriptionsWith({ authenticate: async () => ({ kind: 'full' }) });
    expect(await subscriptions.authenticate(young, 'token')).toMatchObject({
      closing: 'limit',
      after: { code: 'too-many-requests' },
    });
  });

  it('counts bad tokens by address', async () => {
    const one = subscriptionsWith({}, { isTokenBad: true });
    expect(await codeOf(one.subscriptions.authenticate(young, 'bad'))).toBe('unauthenticated');
    const many = subscriptionsWith({}, { isTokenBad: true, badTokens: 2 });
    expect(await codeOf(many.subscriptions.authenticate(young, 'bad'))).toBe('too-many-requests');
  });
});

describe('subscribe', () => {
  it('answers the position from which changes are sent', async () => {
    const { subscriptions } = subscriptionsWith({
      subscribe: async () => ({ kind: 'subscribed', changeNumber: 16 }),
    });
    expect(await subscriptions.subscribe(young, chat)).toEqual({
      type: 'subscribed',
      ...chat,
      changeNumber: 16,
    });
  });

  it('verifies counters after a loss of Redis, and refuses what does not exist', async () => {
    let calls = 0;
    const scripts: Partial<Script> = {
      subscribe: async () => {
        calls += 1;
        return calls === 1 ? { kind: 'unverified', lost: '3' } : { kind: 'subscribed', changeNumber: 16 };
      },
    };
    const there = subscriptionsWith(scripts);
    expect(await there.subscriptions.subscribe(young, chat)).toMatchObject({ changeNumber: 16 });
    expect(there.verified).toEqual([[chat, { token: 'app' }]]);
    calls = 0;
    const missing = subscriptionsWith(scripts, { exists: false });
    expect(await codeOf(missing.subscriptions.subscribe(young, chat))).toBe('not-found');
  });

  it.each([
    ['missing', 'not-found'],
    ['full', 'too-many-requests'],
    ['closed', 'unavailable'],
    ['unknown', 'unauthenticated'],
  ] as const)('is refused if the outcome is %s: %s', async (kind, code) => {
    const { subscriptions } = subscriptionsWith({ subscribe: async () => ({ kind }) });
    expect(await codeOf(subscriptions.subscribe(young, chat))).toBe(code);
  });

  it('asks for a recovery while the gate is closed', async () => {
    const { subscriptions, recoveries } = subscriptionsWith({});
    await codeOf(subscriptions.subscribe(young, chat));
    expect(recoveries()).toBe(1);
  });
});

describe('ping', () => {
  it('answers positions, and none while Redis is away or the gate is closed', async () => {
    const positions = [{ ...chat, changeNumber: 16 }];
    const alive = subscriptionsWith({ ping: async () => ({ kind: 'alive', positions }) });
    expect(await alive.subscriptions.ping(old)).toEqual({ type: 'pong', positions });
    const away = subscriptionsWith({ ping: () => Promise.reject(unavailable('Redis is away')) });
    expect(await away.subscriptions.ping(old)).toEqual({ type: 'pong' });
    expect(await subscriptionsWith({}).subscriptions.ping(old)).toEqual({ type: 'pong' });
  });

  it('ends a connection that Redis forgot, that the server ended, or that is too old', async () => {
    const unknown = subscriptionsWith({ ping: async () => ({ kind: 'unknown' }) });
    expect(await unknown.subscriptions.ping(old)).toEqual({ closing: 'restart' });
    expect(await codeOf(unknown.subscriptions.ping(young))).toBe('unauthenticated');
    const gone = subscriptionsWith({ ping: async () => ({ kind: 'gone', reason: 'signed-out' }) });
    expect(await gone.subscriptions.ping(old)).toEqual({ closing: 'signed-out' });
    const aged = { ...old, connectedAtMs: nowMs - 116 * 60_000 };
    expect(await subscriptionsWith({}).subscriptions.ping(aged)).toEqual({ closing: 'restart' });
  });
});
