import type { RateLimitClass } from '#lib/domain/rate-limit.ts';
import type { RouteContract } from './route.ts';

/** The limit that a route counts towards; undefined for public documents, which have none. */
export const rateLimitClassOf = ({
  authentication,
  method,
}: Pick<RouteContract, 'authentication' | 'method'>): RateLimitClass | undefined => {
  if (authentication === 'basic') return 'sign-in';
  if (authentication === 'none') return method === 'POST' ? 'sign-up' : undefined;
  return method === 'GET' ? 'reads' : 'writes';
};
