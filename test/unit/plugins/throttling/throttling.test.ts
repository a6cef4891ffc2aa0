import { expect, it } from 'vitest';
import Throttling from '../../../../plugins/throttling/index.ts';

type Resource = { Type: string; DependsOn?: string | string[]; Properties: Record<string, unknown> };
const api = (ProtocolType: string) => ({ Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType } });
const stage = (Ref: string, more: Record<string, unknown> = {}): Resource => ({
  Type: 'AWS::ApiGatewayV2::Stage',
  Properties: { ApiId: { Ref }, ...more },
});
const route = (RouteKey: string, Ref = 'HttpApi') => ({
  Type: 'AWS::ApiGatewayV2::Route',
  Properties: { RouteKey, ApiId: { Ref } },
});
const limit = (ThrottlingRateLimit: number, ThrottlingBurstLimit: number) => ({
  ThrottlingRateLimit,
  ThrottlingBurstLimit,
  DetailedMetricsEnabled: true,
});
const http = { default: { rate: 200, burst: 200 } };

type Settings = ConstructorParameters<typeof Throttling>[0]['service']['custom']['throttling'];
const throttle = (throttling: Settings, Resources: Record<string, Resource>): void => {
  const { hooks } = new Throttling({
    service: { custom: { throttling }, provider: { compiledCloudFormationTemplate: { Resources } } },
    classes: { Error: class extends Error {} },
  });
  hooks['before:package:finalize']?.();
};

/** Packages a service with these routes, and limits one of them. @returns its stage */
const packageWith = (routes: Record<string, Resource>, limited: string) => {
  const HttpApiStage = stage('HttpApi');
  throttle(
    { ...http, routes: { [limited]: { rate: 5, burst: 10 } } },
    { HttpApi: api('HTTP'), HttpApiStage, ...routes },
  );
  return HttpApiStage;
};

it('limits a route and its twin with a trailing slash, and all others by the default', () => {
  const limited = packageWith(
    { A: route('POST /users'), B: route('POST /users/'), C: route('GET /users') },
    'POST /users',
  );
  expect(limited).toMatchObject({
    DependsOn: ['A', 'B'],
    Properties: {
      DefaultRouteSettings: limit(200, 200),
      RouteSettings: { 'POST /users': limit(5, 10), 'POST /users/': limit(5, 10) },
    },
  });
});

it('refuses a limit of a route that does not exist', () => {
  expect(() => packageWith({ A: route('POST /users') }, 'POST /user')).toThrow(
    '"POST /user", which is no route',
  );
});

it.each([
  ['before', ['Sockets', 'HttpApi']],
  ['after', ['HttpApi', 'Sockets']],
])('gives each API its own limits, with the WebSocket API %s the HTTP API', (_place, order) => {
  const stages: Record<string, Resource> = {
    HttpApi: stage('HttpApi'),
    Sockets: stage('Sockets', { DefaultRouteSettings: { LoggingLevel: 'OFF' } }),
  };
  throttle(
    {
      ...http,
      routes: { 'POST /users': { rate: 5, burst: 10 } },
      websocket: { default: { rate: 50, burst: 60 }, routes: { $connect: { rate: 7, burst: 8 } } },
    },
    {
      ...Object.fromEntries(order.map((id) => [`${id}Stage`, stages[id] ?? stage(id)])),
      HttpApi: api('HTTP'),
      Sockets: api('WEBSOCKET'),
      A: route('POST /users'),
      B: route('$connect', 'Sockets'),
    },
  );
  expect(stages.HttpApi).toMatchObject({
    DependsOn: ['A'],
    Properties: { DefaultRouteSettings: limit(200, 200), RouteSettings: { 'POST /users': limit(5, 10) } },
  });
  expect(stages.Sockets).toMatchObject({
    DependsOn: ['B'],
    Properties: {
      DefaultRouteSettings: { ...limit(50, 60), LoggingLevel: 'OFF' },
      RouteSettings: { $connect: limit(7, 8) },
    },
  });
});

it('limits a WebSocket API by the default of the HTTP API if it has no limits of its own', () => {
  const sockets = stage('Sockets');
  throttle({ ...http, routes: {} }, { Sockets: api('WEBSOCKET'), SocketsStage: sockets });
  expect(sockets.Properties).toMatchObject({ DefaultRouteSettings: limit(200, 200), RouteSettings: {} });
});

it('refuses a limit of a route that only the other API has', () => {
  const resources = {
    HttpApi: api('HTTP'),
    Stage: stage('HttpApi'),
    Sockets: api('WEBSOCKET'),
    SocketsStage: stage('Sockets'),
    A: route('$default'),
    B: route('$connect', 'Sockets'),
  };
  const routes = { $connect: { rate: 1, burst: 1 } };
  expect(() => throttle({ ...http, routes }, resources)).toThrow(
    'custom.throttling names "$connect", which is no route',
  );
  const websocket = { ...http, routes: { 'POST /users': { rate: 1, burst: 1 } } };
  expect(() => throttle({ ...http, websocket }, resources)).toThrow(
    'custom.throttling.websocket names "POST /users", which is no route',
  );
});
