import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { createChat } from '#lib/contracts/http/chats.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import type { CountedRequest, Quota, RateLimiter } from '#lib/domain/rate-limit.ts';
import { limit } from '#lib/http/limit.ts';
import type { HttpEvent, HttpResult } from '#lib/http/middleware.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';

const plenty: Quota = { remaining: 4, resetSeconds: 30, exceeded: false };
const nothing: Quota = { remaining: 0, resetSeconds: 30, exceeded: true };
const counted = (quota: Quota | undefined, isFar = false): CountedRequest => ({
  isFar,
  quota: Promise.resolve(quota),
  giveBack: async () => undefined,
});

/** One request through the middleware. @returns the counted subjects, the answer, and whether the function ran */
const ask = async (
  contract: RouteContract,
  answer: CountedRequest | undefined,
  { fails = false, clientAddress = '192.0.2.1' } = {},
) => {
  const takes: string[] = [];
  let ran = false;
  const limiter: RateLimiter = {
    limitOf: () => (answer === undefined ? undefined : { count: 5, seconds: 60 }),
    take: (routeClass, subject) => {
      takes.push(`${routeClass} of ${subject}`);
      return answer;
    },
  };
  const event = {
    contract,
    answerHeaders: {},
    clientAddress,
    ...(contract.authentication === 'bearer' ? { caller: { id: 7, name: 'Ada', generation: 0 } } : {}),
  } as unknown as HttpEvent;
  let error: unknown;
  const result: HttpResult = await middy<HttpEvent, HttpResult, Error, Context>()
    .use({
      onError: (request) => {
        error = request.error;
        return { statusCode: 500, headers: { ...request.event.answerHeaders } };
      },
    })
    .use(limit(() => limiter))
    .handler(async () => {
      ran = true;
      if (fails) throw new Error('failed');
      return { statusCode: 200, headers: { 'Content-Type': 'application/json' } };
    })(event, createLambdaContext('test'));
  return { takes, ran, result, error };
};

describe('a request is counted', () => {
  it.each(
    Object.values(routes).map((contract) => [`${contract.method} ${contract.path}`, contract] as const),
  )('by its caller and the class of its route: %s', async (route, contract) => {
    const { takes } = await ask(contract, counted(plenty), { clientAddress: '2001:db8::1' });
    const expected =
      route === 'POST /users'
        ? ['sign-up of 2001:db8:0:0::/64']
        : contract.authentication === 'basic'
          ? ['sign-in of 2001:db8:0:0::/64']
          : contract.authentication === 'none'
            ? []
            : [contract.method === 'GET' ? 'reads of 7' : 'writes of 7'];
    expect(takes).toEqual(expected);
  });
});

const headers = { 'RateLimit-Policy': '"writes";q=5;w=60', RateLimit: '"writes";r=4;t=30' };

describe('an answer', () => {
  it.each([
    ['that waited for its quota', false],
    ['that did not need to wait', true],
  ])('%s tells the policy and what is left', async (_what, isFar) => {
    const { result, ran } = await ask(createChat, counted(plenty, isFar));
    expect(ran).toBe(true);
    expect(result).toEqual({
      statusCode: 200,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  });

  it('that is an error tells them, too', async () => {
    const { result } = await ask(createChat, counted(plenty), { fails: true });
    expect(result).toEqual({ statusCode: 500, headers });
  });

  it('tells the policy alone when the limiter failed, and nothing where the limit is off', async () => {
    expect((await ask(createChat, counted(undefined))).result.headers).toEqual({
      'Content-Type': 'application/json',
      'RateLimit-Policy': headers['RateLimit-Policy'],
    });
    expect((await ask(createChat, undefined)).result.headers).toEqual({ 'Content-Type': 'application/json' });
  });
});

describe('a request beyond the limit', () => {
  it('is refused before its function runs, with the seconds to wait', async () => {
    const { ran, error, result } = await ask(createChat, counted(nothing));
    expect(ran).toBe(false);
    expect(error).toMatchObject({
      code: 'too-many-requests',
      logCode: 'rate-limited',
      retryAfterSeconds: 30,
    });
    expect(result.headers).toEqual({ ...headers, RateLimit: '"writes";r=0;t=30' });
  });
});
