import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isAuthenticationError } from '#lib/runtime/authentication-error.ts';
import { createSecrets, secretReader } from '#lib/runtime/secrets.ts';

const arns = { MYSQL_URL: 'arn:mysql', JWT_SECRET: 'arn:jwt' };

const startSecrets = (values: Record<string, string>) => {
  let nowMs = 0;
  const read: string[] = [];
  const secrets = createSecrets(arns, {
    now: () => nowMs,
    read: async (arn) => {
      read.push(arn);
      const value = values[arn];
      if (value === undefined) throw new Error(`no ${arn}`);
      return value;
    },
  });
  return {
    secrets,
    read,
    passMs: (ms: number) => {
      nowMs += ms;
    },
  };
};

describe('the secrets of an environment', () => {
  it('are read once, however many calls ask at the same time', async () => {
    const { secrets, read } = startSecrets({ 'arn:mysql': 'mysql://a', 'arn:jwt': 'j' });
    expect(await Promise.all([secrets.refresh(), secrets.refresh()])).toEqual([false, false]);
    expect(await secrets.refresh()).toBe(false);
    expect(read).toHaveLength(2);
    expect(secrets.get()).toEqual({ MYSQL_URL: 'mysql://a', JWT_SECRET: 'j' });
  });

  it('are read again after a server refused one, and tell that a value changed', async () => {
    const values = { 'arn:mysql': 'mysql://a', 'arn:jwt': 'j' };
    const { secrets, passMs } = startSecrets(values);
    await secrets.refresh();
    values['arn:mysql'] = 'mysql://b';
    passMs(6_000);
    expect(await secrets.refresh()).toBe(false);
    secrets.doubt();
    expect(await secrets.refresh()).toBe(true);
    expect(secrets.get().MYSQL_URL).toBe('mysql://b');
  });

  it('are read at most every five seconds while a server refuses all of them', async () => {
    const { secrets, read, passMs } = startSecrets({ 'arn:mysql': 'mysql://a', 'arn:jwt': 'j' });
    await secrets.refresh();
    for (let second = 0; second < 20; second += 1) {
      secrets.doubt();
      await secrets.refresh();
      passMs(1_000);
    }
    expect(read).toHaveLength(2 + 3 * 2);
  });

  it('are read again after five minutes', async () => {
    const { secrets, read, passMs } = startSecrets({ 'arn:mysql': 'mysql://a', 'arn:jwt': 'j' });
    await secrets.refresh();
    passMs(299_000);
    await secrets.refresh();
    expect(read).toHaveLength(2);
    passMs(2_000);
    await secrets.refresh();
    expect(read).toHaveLength(4);
  });

  it('stay in use while they cannot be read again, and are asked for at each call until the first time', async () => {
    const values: Record<string, string> = {};
    const { secrets, passMs } = startSecrets(values);
    await expect(secrets.refresh()).rejects.toThrow('no arn:mysql');
    Object.assign(values, { 'arn:mysql': 'mysql://a', 'arn:jwt': 'j' });
    await secrets.refresh();
    delete values['arn:jwt'];
    passMs(301_000);
    expect(await secrets.refresh()).toBe(false);
    expect(secrets.get().JWT_SECRET).toBe('j');
  });

  it('need no call where a function has none', async () => {
    const secrets = createSecrets({}, { read: () => Promise.reject(new Error('not to be called')) });
    expect(await secrets.refresh()).toBe(false);
    expect(secrets.get()).toEqual({});
  });
});

describe('the reader', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
  });
  const credentials = {
    region: 'eu-west-1',
    accessKeyId: 'AKID',
    secretAccessKey: 'hush',
    sessionToken: 'token',
  };
  const serve = async (answers: { status: number; body: object }[]) => {
    const seen: { headers: Record<string, unknown>; body: string }[] = [];
    server = createServer(async (request, response) => {
      const body = (await request.setEncoding('utf8').toArray()).join('');
      seen.push({ headers: request.headers, body });
      const answer = answers[Math.min(seen.length, answers.length) - 1];
      response.writeHead(answer?.status ?? 500).end(JSON.stringify(answer?.body ?? {}));
    });
    const listening = server;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const { port } = listening.address() as AddressInfo;
    return { seen, read: secretReader(new URL(`http://127.0.0.1:${port}`), credentials) };
  };

  it('signs one call for the secret, with the session of the function', async () => {
    const { seen, read } = await serve([{ status: 200, body: { SecretString: 'value' } }]);
    expect(await read('arn:mysql')).toBe('value');
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ SecretId: 'arn:mysql' });
    expect(seen[0]?.headers).toMatchObject({
      'x-amz-target': 'secretsmanager.GetSecretValue',
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-security-token': 'token',
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/secretsmanager\/aws4_request, SignedHeaders=\S*host\S*, Signature=[0-9a-f]{64}$/,
      ),
    });
  });

  it('tries again when the service is busy', async () => {
    const { seen, read } = await serve([
      { status: 503, body: {} },
      { status: 200, body: { SecretString: 'value' } },
    ]);
    expect(await read('arn:mysql')).toBe('value');
    expect(seen).toHaveLength(2);
  });

  it('names the secret and the refusal, asks once, and shows no credential', async () => {
    const { seen, read } = await serve([
      { status: 400, body: { __type: 'com.amazon#AccessDeniedException', message: 'hush' } },
    ]);
    await expect(read('arn:mysql')).rejects.toThrow(
      /^Secrets Manager refuses to read arn:mysql: 400 AccessDeniedException$/,
    );
    expect(seen).toHaveLength(1);
  });
});

it.each([
  Object.assign(new Error('Access denied for user'), { code: 'ER_ACCESS_DENIED_ERROR' }),
  new Error('WRONGPASS invalid username-password pair or user is disabled.'),
  new Error('NOAUTH Authentication required.'),
  new Error(
    'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused"',
  ),
  Object.assign(new Error('Response Error'), { statusCode: 401 }),
  new Error('unavailable', { cause: new Error('WRONGPASS') }),
])('takes %s for refused credentials', (error) => {
  expect(isAuthenticationError(error)).toBe(true);
});

it.each([
  Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
  Object.assign(new Error('denied'), { code: 'ER_TABLEACCESS_DENIED_ERROR' }),
  Object.assign(new Error('Response Error'), { statusCode: 403 }),
  'WRONGPASS',
])('takes %s for something else', (error) => {
  expect(isAuthenticationError(error)).toBe(false);
});
