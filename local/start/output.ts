import type { ApiUrls, Report, Stack } from '../services/index.ts';

/**
 * Lines that say nothing new: those of serverless-offline about each call, because the line of the answer says more, and
 * metrics, which `npm run status` shows.
 */
const isNoise = (line: string) =>
  /^\s*$|\(λ: \S+\)( RequestId: .*)?$|^Successfully invoked scheduled function|^\{"_aws":/.test(line);

/** Splits output into lines and shows all but the noise. */
export const createLineFilter = (report: Report): ((text: string) => void) => {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (!isNoise(line)) report.say(line);
  };
};

/** Servers with their addresses, and the addresses of the API. */
export const summaryOf = (stack: Stack, { url, socketUrl }: ApiUrls): string => {
  const services = Object.values(stack.services).filter((service) => service !== undefined);
  const width = Math.max(...services.map(({ version }) => version.length));
  return [
    '',
    ...services.map(({ version, where }) => `  ${version.padEnd(width)}  ${where}`),
    ...(stack.urls.OPENSEARCH_URL === undefined ? ['  no OpenSearch: search answers 503 (see above)'] : []),
    '',
    `  The API is at ${url}, to read and try at ${url}/docs`,
    `  Its changes are live at ${socketUrl}`,
    '  Ctrl-C ends it and the services; the data stay.',
    '',
  ].join('\n');
};
