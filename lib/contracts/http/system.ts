import * as z from 'zod';
import { route } from './route.ts';

/** An answer exists only while all parts are up: 503 names the others. */
const part = z.literal('up');

const health = z
  .object({
    status: z.literal('ok'),
    parts: z.object({ mysql: part, redis: part, rabbitmq: part, opensearch: part, numbering: part }),
  })
  .meta({ id: 'Health', description: 'The status of each part' });

export const getHealth = route({
  function: 'getHealth',
  method: 'GET',
  alsoHead: true,
  path: '/health',
  tag: 'System',
  summary: 'Check that every part answers; 503 names the parts that do not',
  description:
    '`numbering` is down while numbers are recovered after a restart or a loss of Redis: writes are refused, reads continue.',
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

export const getRoot = route({
  function: 'getDocs',
  method: 'GET',
  path: '/',
  tag: 'System',
  summary: 'Leads to the page at `/docs`',
  authentication: 'none',
  request: {},
  response: z.string().describe('The page at `/docs`'),
  redirectsTo: '/docs',
  errors: [],
});

/** The answer to requests without a route. The OpenAPI document leaves it out. */
export const unknownRoute = route({
  function: 'rejectUnknownRoute',
  method: 'GET',
  path: '*',
  tag: 'System',
  summary: 'Not a route of this API',
  authentication: 'bearer',
  request: { path: z.strictObject({ path: z.string() }), anyQuery: true },
  response: z.object({}),
  errors: ['not-found'],
});
