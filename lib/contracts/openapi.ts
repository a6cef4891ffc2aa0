import * as z from 'zod';
import type { ErrorCode } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { routes } from './index.ts';
import { rateLimitClassOf } from './rate-limit-class.ts';
import type { RouteContract } from './route.ts';
import { statuses } from './statuses.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;
type Schemas = Record<string, JsonSchema>;

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;

/**
 * Removes redundant parts of a JSON Schema: patterns that `type` or `format` imply, and the bounds of
 * JavaScript integers.
 */
const withoutNoise = ({ jsonSchema }: { jsonSchema: JsonSchema }): void => {
  if (jsonSchema.type === 'integer' || jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
};

/** Schemas of the document. Named ones (zod's `id`) are collected once and referenced. */
const createSchemas = () => {
  const named: Schemas = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
    const json = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: withoutNoise });
    const moved: JsonSchema = JSON.parse(
      JSON.stringify(json).replaceAll('"#/$defs/', '"#/components/schemas/'),
    );
    const { $schema: _dialect, $defs, ...rest } = moved;
    Object.assign(named, $defs);
    return rest;
  };

  /** An example made of the first example of each field; undefined without any. */
  const exampleOf = (schema: JsonSchema): unknown => {
    const { $ref, examples, type, properties = {}, items } = schema;
    const referred = $ref === undefined ? undefined : named[$ref.split('/').at(-1) ?? ''];
    if (referred !== undefined) return exampleOf(referred);
    if (examples !== undefined) return Array.isArray(examples) ? examples[0] : undefined;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum !== undefined) return schema.enum[0];
    if (type === 'array') return isSchema(items) ? [exampleOf(items)] : [];
    if (type !== 'object') return undefined;
    return Object.fromEntries(
      Object.entries(properties).flatMap(([name, property]) => {
        const example = isSchema(property) ? exampleOf(property) : undefined;
        return example === undefined ? [] : [[name, example]];
      }),
    );
  };

  const contentOf = (type: string, schema: JsonSchema) => {
    const example = exampleOf(schema);
    return { [type]: { schema, ...(example === undefined ? {} : { example }) } };
  };
  return { named, schemaOf, contentOf };
};

/** The documentation of each error: when it occurs, and an example of its detail. */
const errorAnswers: Record<ErrorCode, { when: string; detail: string; field?: [string, string] }> = {
  'bad-input': {
    when: 'The request is invalid; `errors` names every invalid field',
    detail: 'The request does not match the contract.',
    field: ['limit', 'Must be at most 100'],
  },
  unauthenticated: {
    when: 'The credentials or the access token are missing, wrong or expired',
    detail: 'An access token is needed: Authorization: Bearer <accessToken>.',
  },
  forbidden: {
    when: 'Only the creator or the sender may do this',
    detail: 'Only the creator of the application may change it.',
  },
  'not-found': { when: 'The item or its parent does not exist', detail: 'There is no such application.' },
  'not-allowed': {
    when: 'The path does not accept the method; `Allow` names the methods',
    detail: 'This path accepts GET, PUT.',
  },
  conflict: {
    when: 'The e-mail address is taken, or no number is left',
    detail: 'This e-mail address is taken.',
  },
  'too-large': {
    when: `The body is longer than ${limits.requestBytes} bytes`,
    detail: `The body must not be longer than ${limits.requestBytes} bytes.`,
  },
  'not-json': {
    when: 'The body is not declared as JSON',
    detail: 'The body must be JSON: Content-Type: application/json.',
  },
  unprocessable: {
    when: 'The `Idempotency-Key` was used for another request',
    detail: 'This Idempotency-Key was used for another request.',
  },
  'too-many-requests': {
    when: 'More requests than `RateLimit-Policy` allows, or too many failed sign-ins. Try again after `Retry-After` seconds',
    detail: 'Too many requests.',
  },
  unavailable: {
    when: 'The request is valid, but a server cannot serve it now. Try again after `Retry-After` seconds',
    detail: 'The numbering service does not answer.',
  },
};

const rateLimitHeaders = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
};

const headersOfError: Partial<Record<ErrorCode, Record<string, object>>> = {
  'not-allowed': {
    Allow: { description: 'The methods of the path', schema: { type: 'string', examples: ['GET, PUT'] } },
  },
  unauthenticated: {
    'WWW-Authenticate': {
      description: 'The authentication scheme that the route requires',
      schema: { type: 'string', examples: ['Bearer realm="chat"'] },
    },
  },
  'too-many-requests': {
    'Retry-After': { $ref: '#/components/headers/RetryAfter' },
    ...rateLimitHeaders,
  },
  unavailable: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } },
};

/** `not-found` → `NotFound` */
const componentOf = (code: ErrorCode) => code.replace(/(^|-)[a-z]/g, (at) => at.slice(-1).toUpperCase());

const problemContent = (example: object) => ({
  'application/problem+json': {
    schema: { $ref: '#/components/schemas/Problem' },
    example: { type: 'about:blank', ...example },
  },
});

const errorResponses = () => {
  const entries = Object.entries(errorAnswers) as [ErrorCode, (typeof errorAnswers)[ErrorCode]][];
  return {
    ...Object.fromEntries(
      entries.map(([code, { when, detail, field }]) => {
        const { status, title } = statuses[code];
        const errors = field ? { errors: [{ path: field[0], message: field[1] }] } : {};
        const headers = headersOfError[code];
        return [
          componentOf(code),
          {
            description: `${title}. ${when}.`,
            ...(headers ? { headers } : {}),
            content: problemContent({ title, status, detail, ...errors }),
          },
        ];
      }),
    ),
    Unexpected: {
      description:
        'An unexpected error on the server. Repeat a creation safely with the same `Idempotency-Key`.',
      content: problemContent({ title: 'Internal Server Error', status: 500 }),
    },
  };
};

/** The errors of the contract, and those that every such route may return. */
const errorsOf = (contract: RouteContract): ErrorCode[] => {
  const codes = new Set<ErrorCode>(contract.errors);
  // Every route refuses unknown query fields.
  codes.add('bad-input').add('not-allowed');
  if (contract.creates) codes.add('unprocessable');
  if (rateLimitClassOf(contract) !== undefined) codes.add('too-many-requests');
  if (contract.authentication !== 'none') codes.add('unauthenticated');
  if (contract.request.body !== undefined) codes.add('too-large').add('not-json');
  return [...codes].sort((a, b) => statuses[a].status - statuses[b].status);
};

const headersOf = ({ list, method, authentication, responseHeaders = {} }: RouteContract) => ({
  ...Object.fromEntries(
    Object.entries(responseHeaders).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  ),
  ...(list ? { Link: { $ref: '#/components/headers/Link' } } : {}),
  ...(method === 'GET' ? { ETag: { $ref: '#/components/headers/ETag' } } : {}),
  ...(rateLimitClassOf({ authentication, method }) === undefined ? {} : rateLimitHeaders),
});

const operationOf = (
  name: string,
  contract: RouteContract,
  { schemaOf, contentOf }: ReturnType<typeof createSchemas>,
) => {
  const { request, response, authentication, produces = 'application/json', method, creates } = contract;
  const fieldsOf = (where: 'path' | 'query') => {
    if (request[where] === undefined) return [];
    const { properties = {}, required = [] } = schemaOf(request[where], 'input');
    return Object.entries(properties)
      .filter((entry): entry is [string, JsonSchema] => isSchema(entry[1]))
      .map(([field, { description, ...schema }]) => ({
        name: field,
        in: where,
        required: required.includes(field),
        ...(description === undefined ? {} : { description }),
        schema,
      }));
  };
  const parameters = [
    ...fieldsOf('path'),
    ...fieldsOf('query'),
    ...(creates ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
    ...(method === 'GET' ? [{ $ref: '#/components/parameters/IfNoneMatch' }] : []),
  ];
  const headers = headersOf(contract);
  return {
    operationId: name,
    tags: [contract.tag],
    summary: contract.summary,
    ...(contract.description === undefined ? {} : { description: contract.description }),
    security: authentication === 'none' ? [] : [{ [authentication]: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(request.body === undefined
      ? {}
      : {
          requestBody: {
            required: request.bodyOptional !== true,
            content: contentOf('application/json', schemaOf(request.body, 'input')),
          },
        }),
    responses: {
      '200': {
        description: response.description ?? 'Done',
        ...(Object.keys(headers).length === 0 ? {} : { headers }),
        content: contentOf(produces, schemaOf(response, 'output')),
      },
      ...(method === 'GET' ? { '304': { $ref: '#/components/responses/NotModified' } } : {}),
      ...Object.fromEntries(
        errorsOf(contract).map((code) => [
          String(statuses[code].status),
          { $ref: `#/components/responses/${componentOf(code)}` },
        ]),
      ),
      default: { $ref: '#/components/responses/Unexpected' },
    },
  };
};

/** In the order of the document. */
const tags: Record<RouteContract['tag'], string> = {
  Users: 'Sign up and sign in',
  Applications: 'Applications contain chats and are identified by a token',
  Chats: 'Numbered 1, 2, 3, … in their application',
  Messages: 'Numbered 1, 2, 3, … in their chat',
  System: 'Health and documentation of the API',
};
const tagNames = Object.keys(tags);

const description = `
Applications contain chats, and chats contain messages. The server numbers an item when it accepts the request. A write that is answered with 200 is never lost.

**Get started:**
1. Sign up: \`POST /users\`.
2. Sign in: \`POST /users/token\` with Basic authentication (e-mail address and password) returns an access token.
3. Send the token with all other requests: \`Authorization: Bearer <accessToken>\`.

Requests and responses are JSON in UTF-8. Unknown fields are refused. If a body repeats a key, its last value counts; a query parameter must not be repeated. Every path accepts a trailing slash.
Errors are [problem documents](https://www.rfc-editor.org/rfc/rfc9457). Lists have a \`Link\` header if there is a next page.
`.trim();

const problemSchema = {
  title: 'Problem',
  description: 'An error (RFC 9457)',
  type: 'object',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', format: 'uri-reference', examples: ['about:blank'] },
    title: { type: 'string', description: 'The meaning of the status', examples: ['Bad Request'] },
    status: { type: 'integer', minimum: 400, maximum: 599, examples: [400] },
    detail: { type: 'string', examples: ['The request does not match the contract.'] },
    errors: {
      description: 'The invalid fields, each once',
      type: 'array',
      maxItems: limits.errors,
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: {
            type: 'string',
            description: 'The path of the field, separated by dots',
            maxLength: limits.errorPath,
            examples: ['limit'],
          },
          message: { type: 'string', examples: ['Must be at most 100'] },
        },
      },
    },
  },
};

/** The API as OpenAPI 3.1, from the contracts that validate it. https://spec.openapis.org/oas/v3.1.1.html */
export const openApiDocument = () => {
  const schemas = createSchemas();
  const ordered = Object.entries(routes).sort(
    ([, a], [, b]) =>
      tagNames.indexOf(a.tag) - tagNames.indexOf(b.tag) || (a.path === b.path ? 0 : a.path < b.path ? -1 : 1),
  );
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, contract] of ordered) {
    paths[contract.path] = {
      ...paths[contract.path],
      [contract.method.toLowerCase()]: operationOf(name, contract, schemas),
    };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Chat API',
      version: '1.0.0',
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
    paths,
    components: {
      securitySchemes: {
        basic: {
          type: 'http',
          scheme: 'basic',
          description: 'The e-mail address and the password of `POST /users`; for sign-in only',
        },
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'The `accessToken` of `POST /users/token`; the page at `/docs` fills it in when you sign in there',
        },
      },
      parameters: {
        IdempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          required: false,
          description:
            'A second request of the same user with the same key within 24 hours gets the first answer and creates nothing',
          schema: { type: 'string', pattern: '^[!-~]+$', maxLength: limits.idempotencyKey },
        },
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          required: false,
          description:
            'The `ETag` of an earlier answer. If it is still current, the answer is 304 without a body',
          schema: { type: 'string' },
        },
      },
      headers: {
        Link: {
          description: 'The next page of the list, `rel="next"` (RFC 8288); absent on the last page',
          schema: { type: 'string', examples: ['</applications?page=2>; rel="next"'] },
        },
        ETag: { description: 'For `If-None-Match`', schema: { type: 'string' } },
        RateLimit: {
          description: '`r` requests remain for the next `t` seconds (draft-ietf-httpapi-ratelimit-headers)',
          schema: { type: 'string', examples: ['"writes";r=5999;t=60'] },
        },
        RateLimitPolicy: {
          description: '`q` requests are allowed in `w` seconds; absent if the limit is off',
          schema: { type: 'string', examples: ['"writes";q=6000;w=60'] },
        },
        RetryAfter: { description: 'Seconds', schema: { type: 'integer', minimum: 0, examples: [5] } },
      },
      responses: {
        NotModified: {
          description: 'Not Modified. The `ETag` of the request is still current.',
          headers: { ETag: { $ref: '#/components/headers/ETag' } },
        },
        ...errorResponses(),
      },
      schemas: { ...schemas.named, Problem: problemSchema },
    },
  };
};
