import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { badInput, forbidden, type KnownError, tokenEnded, unavailable } from '#lib/domain/errors.ts';
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
};

/** @returns the answer or its error, and the steps in order */
const ask = async ({ method = 'GET', submits, fails, refusal, isSignedIn = true }: Given) => {
  const steps: string[] = [];
  const check = async () => {
    steps.push('check');
    await new Promise(setImmediate);
    steps.push('checked');
    if (refusal !== undefined) throw refusal;
  };
  let error: Error | null = null;
  const handle = middy<HttpEvent, HttpResult, Error, Context>()
    .use({
      onError: (request) => {
        error = request.error;
        return { statusCode: 500 };
      },
    })
    .use(checkToken(() => check))
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
    httpEvent(contract, isSignedIn ? { caller } : {}),
    createLambdaContext('test'),
  );
  return { answer: error ?? statusCode, steps };
};

describe('a token', () => {
  it('of a read is checked beside the function, and before the answer', async () => {
    expect(await ask({})).toEqual({ answer: 200, steps: ['check', 'function', 'checked'] });
    const refusal = tokenEnded();
    expect((await ask({ refusal })).answer).toBe(refusal);
  });

  it('of a write is checked before the function', async () => {
    expect((await ask({ method: 'DELETE' })).steps).toEqual(['check', 'checked', 'function']);
    const refusal = tokenEnded();
    expect(await ask({ method: 'DELETE', refusal })).toEqual({
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
