import type { Template } from '../packages.ts';
import { referenceOf } from './network.ts';

/** Settings of routes that the stage's API does not have. API Gateway refuses such a stage. */
export const throttleFindings = ({ Resources }: Template): string[] => {
  const all = Object.entries(Resources);
  return all
    .filter(([, { Type }]) => Type === 'AWS::ApiGatewayV2::Stage')
    .flatMap(([id, { Properties, DependsOn }]) => {
      const routes = new Map(
        all
          .filter(
            ([, route]) =>
              route.Type === 'AWS::ApiGatewayV2::Route' &&
              referenceOf(route.Properties.ApiId) === referenceOf(Properties.ApiId),
          )
          .map(
            ([
              route,
              {
                Properties: { RouteKey },
              },
            ]) => [String(RouteKey), route],
          ),
      );
      return Object.keys(Properties.RouteSettings ?? {}).flatMap((key) => {
        const route = routes.get(key);
        if (route === undefined) return [`${id} throttles "${key}", which is no route of its API`];
        return [DependsOn].flat().includes(route) ? [] : [`${id} throttles "${key}" without waiting for it`];
      });
    });
};
