import { timeLimits } from '../time-limits.ts';

/** The request that tells whether `sls offline` is ready, and the expected answer. */
export type Readiness = {
  path: string;
  accepts: (status: number, body: string) => boolean;
};

/** Whether an answer of /health names no other part than OpenSearch. */
const isOnlySearchDown = (body: string): boolean => {
  const { errors = [] }: { errors?: { path: string }[] } = JSON.parse(body);
  return errors.length > 0 && errors.every(({ path }) => path === 'opensearch');
};

/** The API and its servers answer. `withoutSearch` accepts an answer that only OpenSearch is missing from. */
export const isHealthy = ({ withoutSearch = false } = {}): Readiness => ({
  path: '/health',
  accepts: (status, body) => status === 200 || (withoutSearch && isOnlySearchDown(body)),
});

/** The API answers, in whatever state its servers are. */
export const answersRequests: Readiness = { path: '/openapi.json', accepts: (status) => status === 200 };

/** @returns undefined when the API is ready; otherwise its answer, or the error */
export const findUnreadiness = async (
  url: string,
  { path, accepts }: Readiness,
): Promise<string | undefined> => {
  try {
    const response = await fetch(`${url}${path}`, {
      signal: AbortSignal.timeout(timeLimits.readinessRequestMs),
    });
    const body = await response.text();
    return accepts(response.status, body) ? undefined : `${response.status} ${body}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
