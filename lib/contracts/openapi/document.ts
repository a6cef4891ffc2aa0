import * as z from 'zod';
import project from '../../../package.json' with { type: 'json' };
import { clientFrame } from '../frames/client.ts';
import { serverFrame } from '../frames/server.ts';
import { rateLimitClassOf } from '../http/rate-limit-class.ts';
import type { RouteContract } from '../http/route.ts';
import { statuses } from '../http/statuses.ts';
import { routes } from '../index.ts';
import { headers, parameters, rateLimitHeaders, securitySchemes } from './components.ts';
import { componentOf, errorResponses, errorsOf, problemSchema } from './errors.ts';
import { createSchemas, type DocumentSchemas, isSchema, type JsonSchema } from './schemas.ts';

const hasEtag = ({ method, redirectsTo }: RouteContract): boolean =>
  method === 'GET' && redirectsTo === undefined;

const headersOf = (contract: RouteContract) => {
  const { list, redirectsTo, responseHeaders = {} } = contract;
  return {
    ...Object.fromEntries(
      Object.entries(responseHeaders).map(([name, description]) => [
        name,
        { description, schema: { type: 'string' } },
      ]),
    ),
    ...(list ? { Link: { $ref: '#/components/headers/Link' } } : {}),
    ...(hasEtag(contract) ? { ETag: { $ref: '#/components/headers/ETag' } } : {}),
    ...(redirectsTo === undefined
      ? {}
      : { Location: { description: 'The other path', schema: { type: 'string', const: redirectsTo } } }),
    ...(rateLimitClassOf(contract) === undefined ? {} : rateLimitHeaders),
  };
};

const fieldsOf = (where: 'path' | 'query', { request }: RouteContract, { schemaOf }: DocumentSchemas) => {
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

const parametersOf = (contract: RouteContract, schemas: DocumentSchemas) => [
  ...fieldsOf('path', contract, schemas),
  ...fieldsOf('query', contract, schemas),
  ...(contract.creates ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
  ...(hasEtag(contract) ? [{ $ref: '#/components/parameters/IfNoneMatch' }] : []),
  ...(contract.errors.includes('precondition-failed') ? [{ $ref: '#/components/parameters/IfMatch' }] : []),
];

const requestBodyOf = ({ request }: RouteContract, { schemaOf, contentOf }: DocumentSchemas) =>
  request.body === undefined
    ? undefined
    : {
        required: request.bodyOptional !== true,
        content: contentOf('application/json', schemaOf(request.body, 'input')),
      };

const successOf = (contract: RouteContract, { schemaOf, contentOf }: DocumentSchemas) => {
  const { response, redirectsTo, produces = 'application/json' } = contract;
  const headers = headersOf(contract);
  return {
    description: response.description ?? 'Done',
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(redirectsTo === undefined ? { content: contentOf(produces, schemaOf(response, 'output')) } : {}),
  };
};

const responsesOf = (contract: RouteContract, schemas: DocumentSchemas) => ({
  [contract.redirectsTo === undefined ? '200' : '302']: successOf(contract, schemas),
  ...(hasEtag(contract) ? { '304': { $ref: '#/components/responses/NotModified' } } : {}),
  ...Object.fromEntries(
    errorsOf(contract).map((code) => [
      String(statuses[code].status),
      { $ref: `#/components/responses/${componentOf(code)}` },
    ]),
  ),
  default: { $ref: '#/components/responses/Unexpected' },
});

const operationOf = (name: string, contract: RouteContract, schemas: DocumentSchemas) => {
  const { tag, summary, description, authentication } = contract;
  const taken = parametersOf(contract, schemas);
  const requestBody = requestBodyOf(contract, schemas);
  return {
    operationId: name,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: authentication === 'none' ? [] : [{ [authentication]: [] }],
    ...(taken.length === 0 ? {} : { parameters: taken }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: responsesOf(contract, schemas),
  };
};

/** In the order of the document. */
const tags: Record<RouteContract['tag'], string> = {
  Users: 'Sign up and sign in',
  Applications: 'Applications contain chats and are identified by a token',
  Chats: 'Numbered 1, 2, 3, … in their application',
  Messages: 'Numbered 1, 2, 3, … in their chat',
  Changes: 'What has changed, in an order that never skips anything',
  System: 'Health and documentation of the API',
};
const tagNames = Object.keys(tags);

const description = `
Applications contain chats, and chats contain messages. The server numbers an item when it accepts the request. A write that is answered with 200 is never lost.

**Get started:**
1. Sign up: \`POST /users\`.
2. Sign in: \`POST /users/token\` with Basic authentication (e-mail address and password) returns an access token.
3. Send the token with all other requests: \`Authorization: Bearer <accessToken>\`.

**Take back and find:**
- Delete a message: \`DELETE /applications/{token}/chats/{chatNumber}/messages/{messageNumber}\`.
- Find messages by words, person and date: \`GET /applications/{token}/messages/search\`, or the same below one chat.
- Change the password: \`PUT /users/me/password\`. Sign out everywhere: \`DELETE /users/me/tokens\`. Erase the account: \`DELETE /users/me\`.

**Live:** the WebSocket at \`x-socket-url\` of this document (locally \`ws://localhost:3001\`). Each message is one JSON object in a text frame: \`ClientFrame\` and \`ServerFrame\` below are its schemas. Send \`{"type": "authenticate", "accessToken": "…"}\` within ten seconds and wait for \`authenticated\`. Then send \`{"type": "ping"}\` at least every \`pingSeconds\`. An \`id\` comes back as \`replyTo\`. A connection takes 30 frames in ten seconds, of 4 KB each; a user has 20 connections. After \`closing\`, connect again: at once with a fresh token for \`token-expired\`, after a random delay for \`too-slow\`, \`idle\`, \`limit\` and \`restart\`, and not for \`signed-out\` and \`bad-frames\`.

Requests and responses are JSON in UTF-8. Unknown fields are refused. If a body repeats a key, its last value counts; a query parameter must not be repeated. Every path accepts a trailing slash.
Errors are [problem documents](https://www.rfc-editor.org/rfc/rfc9457). Lists have a \`Link\` header if there is a next page.
`.trim();

/** The API as OpenAPI 3.1, from the contracts that validate it. https://spec.openapis.org/oas/v3.1.1.html */
export const openApiDocument = () => {
  const schemas = createSchemas();
  const placeOf = ({ path, method }: RouteContract) => `${path} ${method}`;
  const ordered = Object.entries(routes).sort(
    ([, a], [, b]) => tagNames.indexOf(a.tag) - tagNames.indexOf(b.tag) || (placeOf(a) < placeOf(b) ? -1 : 1),
  );
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, contract] of ordered) {
    paths[contract.path] = {
      ...paths[contract.path],
      [contract.method.toLowerCase()]: operationOf(name, contract, schemas),
    };
  }
  // Of the WebSocket API, which no path shows.
  const { properties: sent } = schemas.schemaOf(z.object({ sent: clientFrame }), 'input');
  const { properties: received } = schemas.schemaOf(z.object({ received: serverFrame }), 'output');
  return {
    openapi: '3.1.1',
    info: {
      title: 'Chat API',
      version: project.version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
    paths,
    'x-frames': { ...sent, ...received },
    components: {
      securitySchemes,
      parameters,
      headers,
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
