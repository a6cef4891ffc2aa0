import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, expect, it } from 'vitest';
import { asCustomResource } from '#lib/job/custom-resource.ts';
import { logger } from '#lib/runtime/logger.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';

// These tests provoke errors.
logger.setLogLevel('SILENT');

let server: Server;
let answers: { method: string; contentType: string | undefined; body: unknown }[];
let refusals: number;
let url: string;

beforeEach(async () => {
  answers = [];
  refusals = 0;
  server = createServer(async (request, response) => {
    const text = (await request.setEncoding('utf8').toArray()).join('');
    if (refusals > 0) {
      refusals -= 1;
      response.writeHead(503).end();
      return;
    }
    answers.push({
      method: request.method ?? '',
      contentType: request.headers['content-type'],
      body: JSON.parse(text),
    });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer?signed`;
});
afterEach(() => {
  server.close();
});

const contextOf = (remainingMs: number) => createLambdaContext('migrate', remainingMs);
const requestOf = (type: 'Create' | 'Update' | 'Delete') => ({
  RequestType: type,
  ResponseURL: url,
  StackId: 'stack',
  RequestId: 'request',
  LogicalResourceId: 'Migration',
  ResourceProperties: { Deployment: 'now' },
});
const identity = {
  StackId: 'stack',
  RequestId: 'request',
  LogicalResourceId: 'Migration',
  PhysicalResourceId: 'Migration',
};

it.each(['Create', 'Update'] as const)(
  'runs at %s, and answers the signed URL without a media type',
  async (type) => {
    const events: unknown[] = [];
    const handler = asCustomResource(async (event) => {
      events.push(event);
      return { applied: [] };
    });
    await handler(requestOf(type), contextOf(60_000));
    expect(events).toEqual([{}]);
    expect(answers).toEqual([
      { method: 'PUT', contentType: undefined, body: { Status: 'SUCCESS', ...identity } },
    ]);
  },
);

it('does nothing at Delete', async () => {
  const handler = asCustomResource(() => Promise.reject(new Error('must not run')));
  await handler(requestOf('Delete'), contextOf(60_000));
  expect(answers.map(({ body }) => body)).toEqual([{ Status: 'SUCCESS', ...identity }]);
});

it('tells CloudFormation why the operation failed', async () => {
  const handler = asCustomResource(() =>
    Promise.reject(new Error('The database does not answer.', { cause: new Error('x'.repeat(5_000)) })),
  );
  await handler(requestOf('Update'), contextOf(60_000));
  expect(answers[0]?.body).toMatchObject({
    Status: 'FAILED',
    Reason: expect.stringMatching(/^The database does not answer\. \(xxx/),
  });
  expect(JSON.stringify(answers[0]?.body).length).toBeLessThan(4_096);
});

const earlier = { Deployment: '2026-11-29T10:00:00.000Z' };
const later = { Deployment: '2026-11-30T10:00:00.000Z' };

it('does not fail a rollback, which CloudFormation asks for as an update to an earlier deploy', async () => {
  let runs = 0;
  const handler = asCustomResource(() => {
    runs += 1;
    return Promise.reject(new Error('MySQL does not answer.'));
  });
  const update = { ...requestOf('Update'), ResourceProperties: earlier, OldResourceProperties: later };
  await handler(update, contextOf(60_000));
  expect(runs).toBe(1);
  expect(answers.map(({ body }) => body)).toEqual([{ Status: 'SUCCESS', ...identity }]);
});

it.each([
  ['an update to a later deploy', { ResourceProperties: later, OldResourceProperties: earlier }],
  ['an update within one deploy', { ResourceProperties: later, OldResourceProperties: later }],
  ['an update from an older template', { ResourceProperties: later, OldResourceProperties: {} }],
  ['a creation', { RequestType: 'Create', ResourceProperties: earlier }],
])('fails %s', async (_name, request) => {
  const handler = asCustomResource(() => Promise.reject(new Error('MySQL does not answer.')));
  await handler({ ...requestOf('Update'), ...request }, contextOf(60_000));
  expect(answers[0]?.body).toMatchObject({ Status: 'FAILED', Reason: 'MySQL does not answer.' });
});

it('answers before the function runs out of time', async () => {
  const handler = asCustomResource(() => new Promise(() => undefined));
  await handler(requestOf('Create'), contextOf(15_050));
  expect(answers[0]?.body).toMatchObject({ Status: 'FAILED', Reason: 'The function ran out of time.' });
});

it('answers again when S3 is busy', async () => {
  refusals = 2;
  await asCustomResource(async () => ({}))(requestOf('Create'), contextOf(60_000));
  expect(answers).toHaveLength(1);
});

it('passes other events on, and returns the result of the operation', async () => {
  const handler = asCustomResource(async (event) => ({ event }));
  expect(await handler({ action: 'list' }, contextOf(60_000))).toEqual({ event: { action: 'list' } });
  expect(answers).toEqual([]);
});
