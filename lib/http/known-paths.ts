import type { RouteContract } from '#lib/contracts/http/route.ts';
import type { HttpMiddleware } from './middleware.ts';

/** A parameter such as `{token}` matches any text without a slash. */
const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll(/[.]/g, '\\$&').replaceAll(/\{\w+\}/g, '[^/]+')}$`);

const methodsOf = ({ method, alsoHead }: RouteContract): string[] => (alsoHead ? [method, 'HEAD'] : [method]);

/** The methods of every path of the API. */
export const createMethodsOfPath = (routes: readonly RouteContract[]) => {
  const byPath = Map.groupBy(routes, ({ path }) => path);
  // A path with fewer parameters takes precedence: `/messages/search` names no message.
  const paths = [...byPath]
    .map(([path, contracts]) => ({
      parameters: path.split('{').length - 1,
      pattern: patternOf(path),
      methods: [...new Set(contracts.flatMap(methodsOf))].sort(),
    }))
    .sort((a, b) => a.parameters - b.parameters);
  /** @returns the methods of a path without a trailing slash; none for an unknown path */
  return (path: string): string[] => paths.find(({ pattern }) => pattern.test(path))?.methods ?? [];
};

/**
 * For the function behind `$default`, which gets no parameters from API Gateway: sets the path as a
 * parameter. A path whose methods are all public needs no token.
 */
export const anyPath = (routes: readonly RouteContract[]): HttpMiddleware => {
  const isPublic = routes
    .filter(({ authentication, method }) => authentication === 'none' && method === 'GET')
    .map(({ path }) => patternOf(path));
  return {
    before: ({ event }) => {
      const path = event.rawPath.replace(/(.)\/$/, '$1');
      event.pathParameters = { path };
      if (isPublic.some((pattern) => pattern.test(path)))
        event.contract = { ...event.contract, authentication: 'none' };
    },
  };
};
