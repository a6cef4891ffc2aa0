import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { route } from '#lib/contracts/http/route.ts';
import { httpHandler } from '#lib/http/http-handler.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logClientError, logger } from '#lib/runtime/logger.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';
import { apiEvent } from '../../../support/http-event.ts';

type Line = { message: string; function?: string; requestId?: string };

let lines: Line[];
beforeEach(() => {
  lines = [];
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      lines.push(JSON.parse(String(text)));
      return true;
    });
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

const named = (functionName: string, awsRequestId: string): Context => ({
  ...createLambdaContext(functionName),
  awsRequestId,
});

test('lines of requests that run at the same time each carry their own context', async () => {
  const contract = route({
    function: 'test',
    tag: 'System',
    summary: 'A route of this test',
    authentication: 'none',
    errors: [],
    method: 'GET',
    path: '/things',
    request: { query: z.strictObject({ name: z.string() }) },
    response: z.object({}),
  });
  const handler = httpHandler(contract, async ({ input }) => {
    logger.info(`begins ${input.name}`);
    await nextTurn();
    logger.info(`ends ${input.name}`);
    return {};
  });
  const names = Array.from({ length: 20 }, (_, at) => `request-${at}`);
  await Promise.all(
    names.map((name) => {
      const event = apiEvent(contract, { queryStringParameters: { name } });
      event.requestContext.requestId = name;
      return handler(event, named(`function of ${name}`, name));
    }),
  );
  expect(lines).toHaveLength(2 * names.length);
  for (const { message, requestId, function: functionName } of lines) {
    expect(message.split(' ')[1]).toBe(requestId);
    expect(functionName).toBe(`function of ${requestId}`);
  }
});

test('lines of jobs that run at the same time each carry their own context', async () => {
  const handler = jobHandler(
    z.object({ name: z.string() }),
    async ({ options: { name }, log }) => {
      await nextTurn();
      log(`job ${name}`, { code: 'test' });
      return { done: 0 };
    },
    {},
  );
  await Promise.all(['a', 'b'].map((name) => handler({ name }, named('job', name))));
  expect(lines.map(({ message, requestId }) => [message, requestId])).toEqual([
    ['job a', 'a'],
    ['job b', 'b'],
  ]);
});

test('an error of a client that outlives the request which opened it names no request', async () => {
  const socket = new PassThrough();
  const onError = logClientError('Redis of this test');
  logContext.run({ function: 'first', requestId: 'first' }, () => socket.on('error', onError));
  const closed = new Promise((resolve) => socket.on('close', resolve));
  logContext.run({ function: 'second', requestId: 'second' }, () => socket.destroy(new Error('gone')));
  await closed;
  expect(lines).toEqual([
    expect.objectContaining({ message: 'Redis of this test is out of reach', code: 'server-unreachable' }),
  ]);
  expect(lines[0]).not.toHaveProperty('requestId');
});
