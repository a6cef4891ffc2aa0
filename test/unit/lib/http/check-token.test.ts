import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { badInput, forbidden, KnownError, tokenEnded, unavailable } from '#lib/domain/errors.ts';
import type { CountedRequest, RateLimiter } from '#lib/domain/rate-limit.ts';
import { checkToken } from '#lib/http/check-token.ts';
import type { HttpEvent, HttpResult } from '#lib/http/middleware.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';
import { contractOf, httpEvent } from '../../../support/http-event.ts';

type Given = {
  method?: 'GET' | 'POST' | 'DELETE';
  submits?: true;
  /** The error of the function, if it fails. */
  fails?: Error;
  /** The error of the check, if it refuses. */
  refusal?: KnownError;
  isSignedIn?: boolean;
  /** Whether the client has sent too many bad tokens. */
  isBeyond?: boolean;
};

/** @returns the answer or its error, and the steps in order */
const ask = async ({
  method = 'GET',
  submits,
  fails,
  refusal,
  isSignedIn = true,
  isBeyond = false,
}: Given) => {
  const steps: string[] = [];
  const check = async () => {
    steps.push('check');
    await new Promise(setImmediate);
    steps.push('checked');
    if (refusal !== undefined) throw refusal;
  };
  const counted: string[] = [];
  let givenBack = 0;
  const ofUser: CountedRequest = {
    isFar: true,
    quota: Promise.resolve(undefined),
    giveBack: async () => {
      givenBack += 1;
    },
  };
  const limiter: RateLimiter = {
    limitOf: () => ({ count: 3, seconds: 60 }),
    take: (routeClass, subject) => {
      counted.push(`${routeClass} ${subject}`);
      const quota = { remaining: 0, resetSeconds: 9, exceeded: isBeyond };
      return { isFar: false, quota: Promise.resolve(quota), giveBack: async () => undefined };
    },
  };
  let error: Error | null = null;
  let headers = {};
  const handle = middy<HttpEvent, HttpResult, Error, Context>()
    .use({
      onError: (request) => {
        error = request.error;
        headers = request.event.answerHeaders;
        return { statusCode: 500 };
      },
    })
    .use(
      checkToken(
        () => check,
        () => limiter,
      ),
    )
    .handler(async () => {
      steps.push('function');
      if (fails !== undefined) throw fails;
      return { statusCode: 200 };
    });
  const contract = contractOf({
    authentication: 'bearer',
    method,
    ...(submits === undefined ? {} : { submits }),
  });
  const caller = { id: 7, name: 'Ada', generation: 0 };
  const { statusCode } = await handle(
    httpEvent(contract, isSignedIn ? { caller, counted: ofUser } : {}),
    createLambdaContext('test'),
  );
  return { answer: error ?? statusCode, steps, counted, givenBack, headers };
};

describe('a token', () => {
  it('of a read is checked beside the function, and before the answer', async () => {
    expect(await ask({})).toMatchObject({ answer: 200, steps: ['check', 'function', 'checked'] });
    const refusal = tokenEnded();
    expect((await ask({ refusal })).answer).toBe(refusal);
  });

  it('of a write is checked before the function', async () => {
    expect((await ask({ method: 'DELETE' })).steps).toEqual(['check', 'checked', 'function']);
    const refusal = tokenEnded();
    expect(await ask({ method: 'DELETE', refusal })).toMatchObject({
      answer: refusal,
      steps: ['check', 'checked'],
    });
  });

  it('of a write that submits a command is left to the accepting script', async () => {
    expect((await ask({ method: 'POST', submits: true })).steps).toEqual(['function']);
  });

  it('that is missing is not checked', async () => {
    expect((await ask({ isSignedIn: false })).steps).toEqual(['function']);
  });
});

describe('a refused request', () => {
  it.each([
    ['of a read', {}],
    ['of a write that submits a command', { method: 'POST' as const, submits: true as const }],
  ])('%s is 401 before anything else', async (_what, route) => {
    const refusal = tokenEnded();
    for (const fails of [badInput([]), forbidden('Not the creator.'), unavailable('No answer.')]) {
      expect((await ask({ ...route, fails, refusal })).answer).toBe(refusal);
      expect((await ask({ ...route, fails })).answer).toBe(fails);
    }
  });

  it('is 503 where nobody can tell', async () => {
    const refusal = unavailable('Nobody answers.');
    expect((await ask({ fails: badInput([]), refusal })).answer).toBe(refusal);
    const fails = unavailable('The gate is closed.');
    expect((await ask({ fails, refusal })).answer).toBe(fails);
  });

  it('with an unexpected error keeps it for the log', async () => {
    const fails = new Error('unexpected');
    expect((await ask({ fails, refusal: tokenEnded() })).answer).toBe(fails);
  });
});

describe('a token that has ended', () => {
  const refusal = tokenEnded();
  const submits = true as const;
  it.each<[string, Given]>([
    ['of a read', { refusal }],
    ['of a read that fails', { refusal, fails: badInput([]) }],
    ['of a write', { method: 'DELETE', refusal }],
    ['of a write that the script refuses', { method: 'POST', submits, fails: tokenEnded() }],
    [
      'of a write that fails otherwise',
      { method: 'POST', submits, fails: unavailable('No answer.'), refusal },
    ],
    ['of a user beyond a limit', { refusal, fails: new KnownError('too-many-requests', 'Too many.', {}) }],
  ])('%s counts as a bad one of its address, and is 429 beyond that limit', async (_what, given) => {
    const { answer, counted, givenBack, headers } = await ask(given);
    expect(answer).toMatchObject({ logCode: 'token-ended' });
    expect(givenBack).toBe(1);
    expect(counted).toEqual(['bad-tokens 127.0.0.1']);
    expect(headers).toEqual({
      'RateLimit-Policy': '"bad-tokens";q=3;w=60',
      RateLimit: '"bad-tokens";r=0;t=9',
    });
    expect((await ask({ ...given, isBeyond: true })).answer).toMatchObject({ code: 'too-many-requests' });
  });

  it.each<[string, Given]>([
    ['no refusal', {}],
    ['another refusal', { fails: badInput([]) }],
    ['a check that nobody can make', { refusal: unavailable('No answer.') }],
  ])('is not what %s tells', async (_what, given) => {
    expect(await ask(given)).toMatchObject({ counted: [], givenBack: 0 });
  });
});
