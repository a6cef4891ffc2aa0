import { Failure, type Urls, urlsOf } from './services/index.ts';

/**
 * The servers that a command works on: those that the environment names, or else those of the running `npm start`.
 *
 * @returns what the environment lacks
 * @throws Failure when the environment names only some servers, or nothing runs
 */
export const findUrls = (): Partial<Urls> => {
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL } = process.env;
  const given = { MYSQL_URL, REDIS_URL, RABBITMQ_URL };
  const missing = Object.entries(given).flatMap(([name, value]) => (value ? [] : [name]));
  if (missing.length === 0) return {};
  const running = urlsOf('start');
  if (running === undefined) {
    throw new Failure(
      `Nothing runs in this checkout, and ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not set. Run npm start in another terminal, or set MYSQL_URL, REDIS_URL, RABBITMQ_URL and OPENSEARCH_URL.`,
    );
  }
  return { ...running, ...(OPENSEARCH_URL ? { OPENSEARCH_URL } : {}) };
};
