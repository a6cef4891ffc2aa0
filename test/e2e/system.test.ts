import { expect, inject, it } from 'vitest';
import { routes } from '#lib/contracts/index.ts';
import { Client } from '../support/client.ts';

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

it.each([
  ['GET', '/'],
  ['GET', '/nowhere'],
  ['DELETE', '/applications'],
  ['PATCH', '/users'],
  ['POST', '/health'],
  ['GET', '/users/token/more'],
])('answers 404 as a problem to what is no route: %s %s', async (method, path) => {
  const reply = await api.call(method, path);
  expect(reply.status).toBe(404);
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect(reply.body).toEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: 'There is no such route.',
  });
});
