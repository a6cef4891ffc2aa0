import * as z from 'zod';
import type { ErrorCode } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { routes } from './index.ts';
import type { RouteContract } from './route.ts';
import { statuses } from './statuses.ts';

type JsonSchema = Record<string, unknown>;

const toSchema = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
};

const objectOf = (schema: z.ZodType | undefined): { properties: JsonSchema; required: string[] } => {
  if (schema === undefined) return { properties: {}, required: [] };
  const json = toSchema(schema, 'input');
  return {
    properties: (json.properties ?? {}) as JsonSchema,
    required: (json.required ?? []) as string[],
  };
};

const parametersOf = ({ request, creates }: RouteContract) => {
  const from = (where: 'path' | 'query') => {
    const { properties, required } = objectOf(request[where]);
    return Object.entries(properties).map(([name, schema]) => ({
      name,
      in: where,
      required: required.includes(name),
      schema,
    }));
  };
  return [
    ...from('path'),
    ...from('query'),
    ...(creates
      ? [
          {
            name: 'Idempotency-Key',
            in: 'header',
            required: false,
            description:
              'The same key from the same user within 24 hours answers with the first answer and creates nothing.',
            schema: { type: 'string', pattern: '^[!-~]+$', maxLength: limits.idempotencyKey },
          },
        ]
      : []),
  ];
};

const headersOf = ({ list, method, responseHeaders = {} }: RouteContract) => {
  const described: Record<string, string> = {
    ...responseHeaders,
    ...(list ? { Link: 'The next part of the list, rel="next" (RFC 8288); absent on the last' } : {}),
    ...(method === 'GET' ? { ETag: 'For If-None-Match' } : {}),
  };
  return Object.fromEntries(
    Object.entries(described).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  );
};

/** Every route may answer these, whatever its contract says. */
const errorsOf = (contract: RouteContract): ErrorCode[] => {
  const codes = new Set<ErrorCode>(contract.errors);
  if (contract.authentication !== 'none') codes.add('unauthenticated');
  if (contract.request.body !== undefined)
    for (const code of ['too-large', 'not-json'] as const) codes.add(code);
  if (contract.request.path !== undefined || contract.request.query !== undefined) codes.add('bad-input');
  return [...codes];
};

const operationOf = (name: string, contract: RouteContract) => {
  const { request, response, authentication, produces } = contract;
  const errors = errorsOf(contract).map((code) => {
    const { status, title } = statuses[code];
    return [
      String(status),
      {
        description: title,
        ...(code === 'unavailable' || code === 'too-many-requests'
          ? { headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } } }
          : {}),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ] as const;
  });
  return {
    operationId: name,
    tags: [contract.tag],
    summary: contract.summary,
    security: authentication === 'none' ? [] : [{ [authentication]: [] }],
    parameters: parametersOf(contract),
    ...(request.body === undefined
      ? {}
      : {
          requestBody: {
            required: request.bodyOptional !== true,
            content: { 'application/json': { schema: toSchema(request.body, 'input') } },
          },
        }),
    responses: {
      '200': {
        description: 'Done',
        headers: headersOf(contract),
        content: { [produces ?? 'application/json']: { schema: toSchema(response, 'output') } },
      },
      ...Object.fromEntries(errors),
    },
  };
};

/** The API as OpenAPI 3.1, from the contracts that validate it. https://spec.openapis.org/oas/v3.1.1.html */
export const openApiDocument = () => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, contract] of Object.entries(routes)) {
    const path = paths[contract.path] ?? {};
    path[contract.method.toLowerCase()] = operationOf(name, contract);
    paths[contract.path] = path;
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Chat',
      version: '1.0.0',
      description:
        'Applications hold chats, chats hold messages. Chats are numbered 1, 2, 3, … in their application, messages in their chat, at the moment they are accepted.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: ['Users', 'Applications', 'Chats', 'Messages', 'System'].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'E-mail address and password, to sign in' },
        bearer: { type: 'http', scheme: 'bearer', description: 'The accessToken of POST /users/token' },
      },
      schemas: {
        Problem: {
          description: 'RFC 9457',
          type: 'object',
          required: ['type', 'title', 'status'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            errors: {
              type: 'array',
              items: {
                type: 'object',
                required: ['path', 'message'],
                properties: { path: { type: 'string' }, message: { type: 'string' } },
              },
            },
          },
        },
      },
    },
  };
};
