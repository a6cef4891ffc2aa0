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

/** What JSON Schema need not say: a pattern of what `type` or `format` says already, the bounds of every JavaScript integer. */
const withoutNoise = ({ jsonSchema }: { jsonSchema: JsonSchema }): void => {
  if (jsonSchema.type === 'integer' || jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
};

/** Schemas of the document; those that have a name of their own (zod's `id`) are collected once, and referred to. */
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

  /** The first example of every field that has one; undefined where there is nothing to show. */
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

/** What the answers of each error say: when it comes, and an example of its detail. */
const errorAnswers: Record<ErrorCode, { when: string; detail: string; field?: [string, string] }> = {
  'bad-input': {
    when: 'The request does not fit; `errors` names every field that is at fault',
    detail: 'The request does not fit the contract.',
    field: ['limit', 'Must be at most 100'],
  },
  unauthenticated: {
    when: 'Nobody is signed in: the credentials or the access token are missing, wrong or expired',
    detail: 'An access token is needed: Authorization: Bearer <accessToken>.',
  },
  forbidden: {
    when: 'Only the creator may do this',
    detail: 'Only who created the application may change it.',
  },
  'not-found': { when: 'It, or what it belongs to, does not exist', detail: 'There is no such application.' },
  'not-allowed': {
    when: 'The path takes other methods; `Allow` names them',
    detail: 'This path takes GET, PUT.',
  },
  conflict: { when: 'It is taken', detail: 'This e-mail address is taken.' },
  'too-large': {
    when: `The body is longer than ${limits.requestBytes} bytes`,
    detail: `The body must not be longer than ${limits.requestBytes} bytes.`,
  },
  'not-json': {
    when: 'The body is not declared as JSON',
    detail: 'The body must be JSON: Content-Type: application/json.',
  },
  unprocessable: {
    when: 'Another request had this `Idempotency-Key`',
    detail: 'This Idempotency-Key belongs to another request.',
  },
  'too-many-requests': {
    when: 'More requests than `RateLimit-Policy` allows, or too many failed sign-ins; again after `Retry-After` seconds',
    detail: 'Too many requests.',
  },
  unavailable: {
    when: 'Cannot be done now, though nothing is wrong with the request; again after `Retry-After` seconds',
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
      description: 'What to sign in with',
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
        'Something else went wrong on the server. To repeat what creates safely, use `Idempotency-Key`.',
      content: problemContent({ title: 'Internal Server Error', status: 500 }),
    },
  };
};

/** Every route may answer these, whatever its contract says. */
const errorsOf = (contract: RouteContract): ErrorCode[] => {
  const codes = new Set<ErrorCode>(contract.errors);
  // Unknown fields of a query are refused everywhere.
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

/** Named in the order in which a reader meets them. */
const tags: Record<RouteContract['tag'], string> = {
  Users: 'Signing up and signing in',
  Applications: 'What chats belong to; named by a token',
  Chats: 'Numbered 1, 2, 3, … in their application',
  Messages: 'Numbered 1, 2, 3, … in their chat',
  System: 'About the API itself',
};
const tagNames = Object.keys(tags);

const description = `
Applications hold chats, chats hold messages. A number is given at the moment of acceptance, and what was answered with 200 is kept.

**To begin:**
1. Sign up: \`POST /users\`.
2. Sign in: \`POST /users/token\` with Basic authentication (e-mail address and password) answers with an access token.
3. All else wants it: \`Authorization: Bearer <accessToken>\`.

JSON in UTF-8 throughout. Fields that are not listed here are refused. A trailing slash is accepted on every path.
Errors are [problem documents](https://www.rfc-editor.org/rfc/rfc9457). Lists carry a \`Link\` header where there is more.
`.trim();

const problemSchema = {
  title: 'Problem',
  description: 'What is wrong (RFC 9457)',
  type: 'object',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', format: 'uri-reference', examples: ['about:blank'] },
    title: { type: 'string', description: 'The meaning of the status', examples: ['Bad Request'] },
    status: { type: 'integer', minimum: 400, maximum: 599, examples: [400] },
    detail: { type: 'string', examples: ['The request does not fit the contract.'] },
    errors: {
      description: 'Each part that is at fault',
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: {
            type: 'string',
            description: 'The field, with dots where it lies deeper',
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
          description: 'The e-mail address and the password of `POST /users`; only to sign in',
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
            'The same key from the same user within 24 hours answers with the first answer and creates nothing',
          schema: { type: 'string', pattern: '^[!-~]+$', maxLength: limits.idempotencyKey },
        },
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          required: false,
          description:
            'The `ETag` of an earlier answer: where it still holds, the answer is 304 without a body',
          schema: { type: 'string' },
        },
      },
      headers: {
        Link: {
          description: 'The next part of the list, `rel="next"` (RFC 8288); absent on the last',
          schema: { type: 'string', examples: ['</applications?page=2>; rel="next"'] },
        },
        ETag: { description: 'For `If-None-Match`', schema: { type: 'string' } },
        RateLimit: {
          description: 'What is left, `r`, for the next `t` seconds (draft-ietf-httpapi-ratelimit-headers)',
          schema: { type: 'string', examples: ['"writes";r=5999;t=60'] },
        },
        RateLimitPolicy: {
          description: 'How many requests, `q`, are allowed in `w` seconds; absent where the limit is off',
          schema: { type: 'string', examples: ['"writes";q=6000;w=60'] },
        },
        RetryAfter: { description: 'Seconds', schema: { type: 'integer', minimum: 0, examples: [5] } },
      },
      responses: {
        NotModified: {
          description: 'Not Modified since the `ETag` that was given.',
          headers: { ETag: { $ref: '#/components/headers/ETag' } },
        },
        ...errorResponses(),
      },
      schemas: { ...schemas.named, Problem: problemSchema },
    },
  };
};
