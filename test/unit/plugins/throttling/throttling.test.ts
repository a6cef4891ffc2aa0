import { expect, it } from 'vitest';
import Throttling from '../../../../plugins/throttling/index.ts';

const route = (key: string) => ({ Type: 'AWS::ApiGatewayV2::Route', Properties: { RouteKey: key } });

/** Packages a service with these routes, and limits one of them. @returns the properties of its stage */
const packageWith = (routes: Record<string, ReturnType<typeof route>>, limited: string) => {
  const stage = { Type: 'AWS::ApiGatewayV2::Stage', Properties: {} };
  const { hooks } = new Throttling({
    service: {
      custom: {
        throttling: { default: { rate: 200, burst: 200 }, routes: { [limited]: { rate: 5, burst: 10 } } },
      },
      provider: { compiledCloudFormationTemplate: { Resources: { Stage: stage, ...routes } } },
    },
    classes: { Error: class extends Error {} },
  });
  hooks['before:package:finalize']?.();
  return stage;
};

it('limits a route and its twin with a trailing slash, and all others by the default', () => {
  const stage = packageWith(
    { A: route('POST /users'), B: route('POST /users/'), C: route('GET /users') },
    'POST /users',
  );
  const limit = { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 10, DetailedMetricsEnabled: true };
  expect(stage).toMatchObject({
    DependsOn: ['A', 'B'],
    Properties: {
      DefaultRouteSettings: { ThrottlingRateLimit: 200, ThrottlingBurstLimit: 200 },
      RouteSettings: { 'POST /users': limit, 'POST /users/': limit },
    },
  });
});

it('refuses a limit of a route that does not exist', () => {
  expect(() => packageWith({ A: route('POST /users') }, 'POST /user')).toThrow(
    '"POST /user", which is no route',
  );
});
