import * as z from 'zod';
import { route } from './route.ts';

const part = z.enum(['up', 'down']);

const health = z
  .object({
    status: z.enum(['ok', 'degraded', 'down']),
    parts: z.object({ mysql: part, redis: part, rabbitmq: part, opensearch: part, numbering: part }),
  })
  .meta({ id: 'Health', description: 'Every part answers' });

export const getHealth = route({
  function: 'getHealth',
  method: 'GET',
  alsoHead: true,
  path: '/health',
  tag: 'System',
  summary: 'Whether every part answers; 503 names the one that does not',
  description:
    '`numbering` is down while counters are rebuilt after a loss: nothing can be created, all can be read.',
  authentication: 'none',
  request: {},
  response: health,
  errors: ['unavailable'],
});

export const getOpenapi = route({
  function: 'getOpenapi',
  method: 'GET',
  path: '/openapi.json',
  tag: 'System',
  summary: 'This document',
  authentication: 'none',
  request: {},
  response: z.looseObject({ openapi: z.string().meta({ examples: ['3.1.1'] }) }).describe('This document'),
  errors: [],
});

export const getDocs = route({
  function: 'getDocs',
  method: 'GET',
  path: '/docs',
  tag: 'System',
  summary: 'A page to read and try the API',
  authentication: 'none',
  request: {},
  response: z.string().describe('The page'),
  produces: 'text/html; charset=utf-8',
  errors: [],
});

/** Not a part of the API: requests that no route takes. */
export const unknownRoute = route({
  function: 'rejectUnknownRoute',
  method: 'GET',
  path: '*',
  tag: 'System',
  summary: 'Not a route of this API',
  authentication: 'bearer',
  request: { path: z.strictObject({ path: z.string() }), query: z.looseObject({}) },
  response: z.object({}),
  errors: ['not-found'],
});
