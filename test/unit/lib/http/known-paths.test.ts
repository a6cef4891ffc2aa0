import { expect, it } from 'vitest';
import { unknownRoute } from '#lib/contracts/http/system.ts';
import { routes } from '#lib/contracts/index.ts';
import { anyPath, createMethodsOfPath } from '#lib/http/known-paths.ts';
import { before, httpEvent } from '../../../support/http-event.ts';

const contracts = Object.values(routes);
const methodsOf = createMethodsOfPath(contracts);

it.each([
  ['/users', ['POST']],
  ['/health', ['GET', 'HEAD']],
  ['/openapi.json', ['GET']],
  ['/openapiXjson', []],
  ['/applications', ['GET', 'POST', 'PUT']],
  ['/applications/abc', ['DELETE', 'GET', 'PUT']],
  ['/applications/%zz', ['DELETE', 'GET', 'PUT']],
  ['/applications/abc/chats/1/messages', ['GET', 'POST', 'PUT']],
  ['/applications/abc/chats/1/messages/1', ['DELETE', 'GET', 'PUT']],
  ['/applications/abc/chats/1/messages/search', ['GET']],
  ['/applications/', []],
  ['/applications//chats', []],
  ['/users/token/more', []],
  ['/', ['GET']],
  ['//', []],
])('%s takes %j', (path, methods) => expect(methodsOf(path)).toEqual(methods));

it.each([
  ['/health', 'none'],
  ['/health/', 'none'],
  ['/docs', 'none'],
  ['/users', 'bearer'],
  ['/applications', 'bearer'],
  ['/nowhere', 'bearer'],
])('%s asks for: %s', async (rawPath, authentication) => {
  const event = await before(anyPath(contracts), httpEvent(unknownRoute, { rawPath }));
  expect(event.contract.authentication).toBe(authentication);
  expect(event.pathParameters).toEqual({ path: rawPath.replace(/\/$/, '') });
});
