import { expect, it } from 'vitest';
import TrailingSlash from '../../../../plugins/trailing-slash/index.ts';

type Resource = {
  Type: string;
  Properties: { ProtocolType?: string; RouteKey?: string; ApiId?: { Ref: string }; Target?: string };
};
const route = (RouteKey: string, Ref: string) => ({
  Type: 'AWS::ApiGatewayV2::Route',
  Properties: { RouteKey, ApiId: { Ref }, Target: `of ${RouteKey}` },
});

/** @returns the keys of all routes, by API */
const routesWithTwins = (keys: Record<string, string[]>) => {
  const Resources: Record<string, Resource> = Object.fromEntries([
    ['Http', { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'HTTP' } }],
    ['Sockets', { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'WEBSOCKET' } }],
    ...Object.entries(keys).flatMap(([api, all]) =>
      all.map((key, i) => [`${api}Route${i}`, route(key, api)] as const),
    ),
  ]);
  new TrailingSlash({ service: { provider: { compiledCloudFormationTemplate: { Resources } } } }).hooks[
    'after:package:compileEvents'
  ]?.();
  return Object.values(Resources)
    .filter(({ Type }) => Type.endsWith('::Route'))
    .map(({ Properties }) => `${Properties.ApiId?.Ref} ${Properties.RouteKey} (${Properties.Target})`);
};

it('adds a twin with the same target for each path of the HTTP API', () => {
  expect(routesWithTwins({ Http: ['GET /users', 'PUT /a/{b}'] })).toEqual([
    'Http GET /users (of GET /users)',
    'Http PUT /a/{b} (of PUT /a/{b})',
    'Http GET /users/ (of GET /users)',
    'Http PUT /a/{b}/ (of PUT /a/{b})',
  ]);
});

it.each([
  ['Http', '$default'],
  ['Http', 'GET /'],
  ['Sockets', '$connect'],
  ['Sockets', '$disconnect'],
  ['Sockets', '$default'],
  ['Sockets', 'authenticate'],
])('adds none for a route of %s by the key %s', (api, key) => {
  expect(routesWithTwins({ [api]: [key] })).toEqual([`${api} ${key} (of ${key})`]);
});
