import { afterEach, beforeEach, expect, it, vi } from 'vitest';
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
  onError(problem, event, error);
  expect(lines).toEqual([
    ['Request refused', expect.objectContaining({ code, route: 'GET /things', source: '127.0.0.1' })],
  ]);
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
