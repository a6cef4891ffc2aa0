import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { forbidden, KnownError, notAllowed, unauthenticated } from '#lib/domain/errors.ts';
import { problem as createProblem } from '#lib/http/problem.ts';
import { logger } from '#lib/runtime/logger.ts';
import { contractOf, httpEvent, onError } from '../../../support/http-event.ts';

let lines: [string, unknown][];
beforeEach(() => {
  lines = [];
  for (const level of ['warn', 'error'] as const)
    vi.spyOn(logger, level).mockImplementation((message, ...facts) => {
      lines.push([String(message), facts[0]]);
    });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** One for each case, because the lines of one client are joined. */
const sources: string[] = [];

const addressHash = createKeyedHash([Buffer.alloc(32, 1)]);
const problem = createProblem(() => addressHash);
const event = httpEvent(contractOf({ authentication: 'bearer' }));

it('says how to authenticate', () => {
  const answer = onError(problem, event, unauthenticated('Who are you?'));
  expect(answer.headers?.['WWW-Authenticate']).toBe('Bearer realm="chat"');
});

it.each([
  ['token-invalid', 'The access token is not valid.'],
  ['token-expired', 'The access token has expired.'],
])('says that the token was the fault: %s', (code, detail) => {
  const answer = onError(problem, event, unauthenticated(detail, code));
  expect(answer.headers?.['WWW-Authenticate']).toBe(
    `Bearer realm="chat", error="invalid_token", error_description="${detail}"`,
  );
});

it('names no error to a request without a token', () => {
  const answer = onError(problem, event, unauthenticated('A token is needed.', 'token-missing'));
  expect(answer.headers?.['WWW-Authenticate']).toBe('Bearer realm="chat"');
});

it('says which methods a path takes', () => {
  const answer = onError(problem, event, notAllowed(['GET', 'PUT']));
  expect([answer.statusCode, answer.headers?.Allow]).toEqual([405, 'GET, PUT']);
});

it('keeps headers that were set on the way, such as rate limits', () => {
  const limited = { ...event, answerHeaders: { RateLimit: '"reads";r=0;t=5' } };
  expect(onError(problem, limited, forbidden('Not yours.')).headers).toMatchObject(limited.answerHeaders);
});

it.each([
  [unauthenticated('No token.'), 'request-unauthenticated'],
  [unauthenticated('Expired.', 'token-expired'), 'token-expired'],
  [forbidden('Not yours.'), 'request-forbidden'],
  [new KnownError('too-many-requests', 'Slower.'), 'request-limited'],
  [new KnownError('too-many-requests', 'Locked.', { logCode: 'sign-in-locked' }), 'sign-in-locked'],
])('logs the refusal "%s" in one line with the code %s and the source', (error, code) => {
  const source = `192.0.2.${sources.length}`;
  sources.push(source);
  onError(problem, { ...event, clientAddress: source }, error);
  expect(lines).toEqual([
    ['Request refused', expect.objectContaining({ code, route: 'GET /things', source })],
  ]);
});

describe('refusals that a client can cause without limit', () => {
  const anonymous = (clientAddress: string) =>
    httpEvent(contractOf({ authentication: 'bearer' }), { clientAddress });
  const refuse = (clientAddress: string, code = 'token-invalid') =>
    onError(problem, anonymous(clientAddress), unauthenticated('No.', code));
  const counts = () => lines.map(([, facts]) => facts);

  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.advanceTimersByTime(10_000);
    vi.useRealTimers();
  });

  it('are logged in one line a second and client, with their number', () => {
    for (let i = 0; i < 300; i += 1) refuse('203.0.113.1');
    expect(counts()).toEqual([
      expect.objectContaining({ code: 'token-invalid', source: '203.0.113.1', count: 1 }),
    ]);
    vi.advanceTimersByTime(999);
    expect(lines).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(counts()[1]).toMatchObject({ code: 'token-invalid', source: '203.0.113.1', count: 299 });
    for (let i = 0; i < 5; i += 1) refuse('203.0.113.1', 'token-expired');
    vi.advanceTimersByTime(1_000);
    expect(counts()[2]).toMatchObject({ code: 'token-expired', count: 5 });
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(3);
  });

  it('begin again with a line at once after a quiet second', () => {
    refuse('203.0.113.2');
    vi.advanceTimersByTime(1_000);
    refuse('203.0.113.2');
    expect(counts()).toMatchObject([{ count: 1 }, { count: 1 }]);
  });

  it('count a /64 network of IPv6 as one client, and other clients apart', () => {
    for (const end of ['1', '2', 'ffff']) refuse(`2001:db8:1:2::${end}`);
    refuse('2001:db8:1:3::1');
    refuse('203.0.113.3');
    expect(lines).toHaveLength(3);
    vi.advanceTimersByTime(1_000);
    expect(counts()[3]).toMatchObject({ source: '2001:db8:1:2::ffff', count: 2 });
  });

  it('include missing tokens, and requests beyond a rate limit of any kind', () => {
    const limited = new KnownError('too-many-requests', 'Slower.', { logCode: 'rate-limited' });
    const known = httpEvent(contractOf({ authentication: 'bearer' }), {
      caller: { id: 8, name: 'Bob', generation: 0 },
    });
    const signUp = httpEvent(contractOf({ method: 'POST' }), { clientAddress: '203.0.113.5' });
    for (let i = 0; i < 3; i += 1) {
      refuse('203.0.113.4', 'token-missing');
      onError(problem, known, limited);
      onError(problem, signUp, limited);
    }
    expect(lines).toHaveLength(3);
    vi.advanceTimersByTime(1_000);
    expect(counts().slice(3)).toMatchObject([
      { code: 'token-missing', count: 2 },
      { code: 'rate-limited', callerId: 8, count: 2 },
      { code: 'rate-limited', source: '203.0.113.5', count: 2 },
    ]);
  });

  it('do not include refusals of a user, each of which is a line', () => {
    const known = httpEvent(contractOf({ authentication: 'bearer' }), {
      caller: { id: 9, name: 'Eve', generation: 0 },
    });
    for (let i = 0; i < 3; i += 1) onError(problem, known, forbidden('Not yours.'));
    expect(lines).toHaveLength(3);
  });
});

it('logs an account by a hash, and no secret', () => {
  const signIn = httpEvent(contractOf({ authentication: 'basic' }), {
    headers: { authorization: 'Basic hush' },
    credentials: { user: 'ada@example.org', password: 'hush' },
  });
  onError(problem, signIn, unauthenticated('Wrong.'));
  onError(
    problem,
    { ...signIn, credentials: { user: 'ADA@example.org', password: 'hush' } },
    unauthenticated('Wrong.'),
  );
  expect(JSON.stringify(lines)).not.toMatch(/hush|ada@/i);
  const [first, second] = lines.map(([, facts]) => facts);
  expect(first).toEqual(second);
  expect(first).toHaveProperty('account');
});

it('logs nothing of a mistake that a client made', () => {
  onError(problem, event, new KnownError('not-found', 'No.'));
  onError(problem, event, new KnownError('bad-input', 'No.'));
  expect(lines).toEqual([]);
});
