import { request as requestInTheClear } from 'node:http';
import { request } from 'node:https';
import aws4 from 'aws4';

/** The credentials that sign a call. Lambda sets them for every function. */
export type Credentials = {
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
};

type SecretReader = (arn: string) => Promise<string>;

const TIMEOUT_MS = 3_000;
const TRIES = 3;
/** The shortest interval between reads, in case a server refuses every password. */
const READ_AGAIN_AFTER_MS = 5_000;
/** A new signing key is accepted everywhere after this, before any function uses it. */
const MAX_AGE_MS = 300_000;

/** Sends one signed POST. @returns status and body */
const post = (
  endpoint: URL,
  body: string,
  { region, accessKeyId, secretAccessKey, sessionToken }: Credentials,
): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const signed = aws4.sign(
      {
        service: 'secretsmanager',
        region,
        method: 'POST',
        host: endpoint.host,
        path: '/',
        headers: {
          'Content-Type': 'application/x-amz-json-1.1',
          'X-Amz-Target': 'secretsmanager.GetSecretValue',
        },
        body,
      },
      { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    );
    const send = endpoint.protocol === 'http:' ? requestInTheClear : request;
    const sent = send(
      endpoint,
      { method: 'POST', headers: signed.headers, signal: AbortSignal.timeout(TIMEOUT_MS) },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });

const errorTypeOf = (text: string): string => {
  try {
    const { __type: type }: { __type?: unknown } = JSON.parse(text);
    return typeof type === 'string' ? type.replace(/^.*#/, '') : 'unknown';
  } catch {
    return 'unknown';
  }
};

/**
 * Reads the current value of one secret with one signed HTTPS call, at most {@link TRIES} of them when the service
 * does not answer or is busy.
 *
 * @throws Error that names the secret and the service's error, never a value
 */
export const secretReader =
  (endpoint: URL, credentials: Credentials): SecretReader =>
  async (arn) => {
    const body = JSON.stringify({ SecretId: arn });
    for (let tries = 1; ; tries += 1) {
      try {
        const { status, text } = await post(endpoint, body, credentials);
        if (status === 200) {
          const { SecretString: value }: { SecretString?: unknown } = JSON.parse(text);
          if (typeof value === 'string') return value;
          throw new Error(`The secret ${arn} holds no text.`);
        }
        const reason = `Secrets Manager refuses to read ${arn}: ${status} ${errorTypeOf(text)}`;
        if (status < 500 && status !== 429) throw Object.assign(new Error(reason), { isFinal: true });
        throw new Error(reason);
      } catch (error) {
        const isFinal = error instanceof Error && 'isFinal' in error;
        if (isFinal || tries === TRIES) throw error;
      }
    }
  };

/**
 * Secrets by the names of their settings. They are read on first use and kept while servers accept them.
 *
 * @param arns the secret of each setting; without any, no call is made
 */
export const createSecrets = (
  arns: Readonly<Record<string, string>>,
  { read, now = Date.now }: { read: SecretReader; now?: () => number },
) => {
  const hasArns = Object.keys(arns).length > 0;
  let values: Readonly<Record<string, string>> | undefined = hasArns ? undefined : {};
  let reading: Promise<boolean> | undefined;
  let isDoubtful = false;
  let readAtMs = Number.NEGATIVE_INFINITY;

  const readAll = async (): Promise<boolean> => {
    const old = values;
    const found = await Promise.all(
      Object.entries(arns).map(async ([name, arn]): Promise<[string, string]> => [name, await read(arn)]),
    );
    values = Object.fromEntries(found);
    isDoubtful = false;
    return old !== undefined && found.some(([name, value]) => old[name] !== value);
  };

  return {
    /**
     * Reads the secrets if they were never read, are older than {@link MAX_AGE_MS}, or a server refused one.
     *
     * @returns whether a value has changed
     * @throws Error if no values are known and the read fails
     */
    refresh: async (): Promise<boolean> => {
      if (values !== undefined) {
        const patienceMs = isDoubtful ? READ_AGAIN_AFTER_MS : MAX_AGE_MS;
        if (!hasArns || now() - readAtMs < patienceMs) return false;
      }
      readAtMs = now();
      reading ??= readAll().finally(() => {
        reading = undefined;
      });
      try {
        return await reading;
      } catch (error) {
        // The values in use may still be good.
        if (values === undefined) throw error;
        return false;
      }
    },

    /**
     * Call this after a server refused a credential. It may have been rotated, so the next {@link refresh}
     * reads again.
     */
    doubt: (): void => {
      isDoubtful = true;
    },

    /** @throws Error before the first {@link refresh} */
    get: (): Readonly<Record<string, string>> => {
      if (values === undefined) throw new Error('The secrets were used before they were read.');
      return values;
    },
  };
};
