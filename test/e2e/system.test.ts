import { describe, expect, inject, it } from 'vitest';
import { routes } from '#lib/contracts/index.ts';
import { Client, type Problem, type Reply } from '../support/client.ts';
import { createUser } from '../support/servers.ts';

const api = new Client(inject('apiUrl'));

it.each(['/health', '/health/'])('GET %s says that every part is up', async (path) => {
  const reply = await api.get(path);
  expect(reply.status).toBe(200);
  expect(reply.body).toEqual({
    status: 'ok',
    parts: { mysql: 'up', redis: 'up', rabbitmq: 'up', opensearch: 'up', numbering: 'up' },
  });
});

it('GET /openapi.json describes every route of the contracts, in OpenAPI 3.1', async () => {
  const reply = await api.get<{ openapi: string; paths: Record<string, object> }>('/openapi.json');
  expect(reply.status).toBe(200);
  expect(reply.headers.get('content-type')).toMatch(/^application\/json\b/);
  expect(reply.body.openapi).toMatch(/^3\.1\./);
  const described = Object.entries(reply.body.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(
    Object.values(routes)
      .map(({ method, path }) => `${method} ${path}`)
      .sort(),
  );
});

it('GET /docs is a page', async () => {
  const reply = await api.get('/docs');
  expect(reply.status).toBe(200);
  expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8');
});

it('GET / leads a browser to the page', async () => {
  const reply = await api.get('/');
  expect([reply.status, reply.headers.get('location'), reply.text]).toEqual([302, '/docs', '']);
});

it.each([
  ['GET', '/nowhere'],
  ['GET', '/nowhere/'],
  ['DELETE', '/applications/a/b'],
  ['GET', '/users/token/more'],
  ['GET', '/health//'],
  ['DELETE', '/applications//'],
  ['GET', '//health'],
])('answers 404 as a problem to a path that is no route: %s %s', async (method, path) => {
  const { client } = await createUser('Ada');
  const reply = await client.call(method, path);
  expect(reply.status).toBe(404);
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect(reply.body).toEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: 'There is no such route.',
  });
});

const expectProblem = (reply: Reply<Problem>, status: number) => {
  expect([reply.status, reply.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
  expect(reply.body).toMatchObject({ type: 'about:blank', status });
};

it.each([
  ['DELETE', '/users', 'POST'],
  ['GET', '/users/', 'POST'],
  ['PATCH', '/applications', 'GET, POST, PUT'],
  ['PATCH', '/applications/any/chats/1', 'DELETE, GET, PUT'],
  ['OPTIONS', '/applications/any/chats', 'GET, POST'],
  ['HEAD', '/applications', 'GET, POST, PUT'],
  ['HEAD', '/docs', 'GET'],
  ['PUT', '/applications/any/chats/1/messages/search', 'GET'],
  ['PUT', '/applications/any/chats/1/messages/search/', 'GET'],
  ['PATCH', '/applications/any/chats/1/messages/1', 'DELETE, GET, PUT'],
  ['POST', '/health', 'GET, HEAD'],
  ['POST', '/', 'GET'],
  ['HEAD', '/', 'GET'],
])('answers 405 with Allow to a method that a path does not take: %s %s', async (method, path, allow) => {
  const { client } = await createUser('Ada');
  const reply = await client.call<Problem>(method, path);
  expect([reply.status, reply.headers.get('allow')]).toEqual([405, allow]);
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  if (method !== 'HEAD') expectProblem(reply, 405);
});

it.each([
  ['GET', '/nowhere'],
  ['DELETE', '/users'],
  ['GET', '/users'],
  ['PUT', '/applications/any/chats/1/messages/search'],
  ['HEAD', '/applications'],
  ['OPTIONS', '/applications'],
])('asks who calls before it says whether there is such a route: %s %s', async (method, path) => {
  const reply = await api.call<Problem>(method, path);
  expect([reply.status, reply.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="chat"']);
  if (method !== 'HEAD') expectProblem(reply, 401);
});

const paths = Map.groupBy(Object.values(routes), ({ path }) => path);

describe.each([...paths])('the other methods of %s', (path, contracts) => {
  const target = path.replaceAll('{token}', 'any').replaceAll(/\{\w+\}/g, '1');
  const taken = contracts.flatMap(({ method, alsoHead }) => (alsoHead ? [method, 'HEAD'] : [method])).sort();
  const others = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'].filter(
    (method) => !taken.includes(method),
  );
  const isPublic = contracts.some(
    ({ method, authentication }) => method === 'GET' && authentication === 'none',
  );

  it('are answered 405, and Allow names its own', async () => {
    const { client } = await createUser('Ada');
    for (const method of others) {
      const reply = await client.call<Problem>(method, target);
      expect([method, reply.status, reply.headers.get('allow')]).toEqual([method, 405, taken.join(', ')]);
      if (method !== 'HEAD') expectProblem(reply, 405);
    }
  });

  it(`are answered ${isPublic ? 405 : 401} without a token`, async () => {
    for (const method of others) {
      const reply = await api.call<Problem>(method, target);
      expect([method, reply.status]).toEqual([method, isPublic ? 405 : 401]);
      if (method !== 'HEAD') expectProblem(reply, isPublic ? 405 : 401);
    }
  });
});

it('HEAD /health answers as GET, without a body', async () => {
  const [get, head] = [await api.get('/health'), await api.call('HEAD', '/health')];
  expect([head.status, head.text]).toEqual([200, '']);
  expect(head.headers.get('etag')).toBe(get.headers.get('etag'));
});
