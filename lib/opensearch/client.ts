import { Client, errors } from '@opensearch-project/opensearch';

/** @param onRefused is given the error when the server refuses the URL's user or password */
export const connectOpenSearch = (
  node: string,
  { onRefused }: { onRefused?: (error: Error) => void } = {},
): Client => {
  const client = new Client({ node });
  client.on('response', (error) => {
    if (error instanceof errors.ResponseError && error.statusCode === 401) onRefused?.(error);
  });
  return client;
};
