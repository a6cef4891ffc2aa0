import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

type Answer = { status?: number; body: string };

/** Lambda's API names an action by its path, the others by a field of the body. */
const actionOf = (url: string | undefined, body: string): string =>
  url?.endsWith('/account-settings') ? 'GetAccountSettings' : (new URLSearchParams(body).get('Action') ?? '');

/** An AWS account that gives one answer to each action, and refuses all others. */
export const startAccount = async (answers: Record<string, Answer>) => {
  const calls: string[] = [];
  const requests: URLSearchParams[] = [];
  const server = createServer(async (request, response) => {
    const body = (await request.setEncoding('utf8').toArray()).join('');
    const action = actionOf(request.url, body);
    calls.push(action);
    requests.push(new URLSearchParams(body));
    const answer = answers[action] ?? { status: 501, body: '' };
    response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    calls,
    requests,
    /** Of a client of this account. */
    config: {
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      maxAttempts: 1,
    },
    stop: () => server.close(),
  };
};

export type Account = Awaited<ReturnType<typeof startAccount>>;
