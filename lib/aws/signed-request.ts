import { Agent, request as requestInTheClear } from 'node:http';
import { request, Agent as SecureAgent } from 'node:https';
import aws4 from 'aws4';

/** The credentials that sign a call. Lambda sets them for every function; locally there are none. */
export type Credentials = {
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
};

export type SignedRequest = {
  service: 'execute-api' | 'lambda';
  method: 'POST' | 'DELETE';
  /** The path below the URL, as it is sent: its parts are percent-encoded. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
};

const options = { keepAlive: true, maxSockets: 128 };
const agents = { 'http:': new Agent(options), 'https:': new SecureAgent(options) };

/**
 * The headers of a signed request (Signature Version 4). The signature covers each part of the path encoded once more, so an id with `=`
 * is sent as `%3D` and signed as `%253D`.
 */
export const signedHeaders = (
  url: URL,
  { service, method, path, headers = {}, body = '' }: Omit<SignedRequest, 'timeoutMs'>,
  { region, accessKeyId, secretAccessKey, sessionToken }: Credentials,
) =>
  aws4.sign(
    { service, region, method, host: url.host, path, headers, body },
    { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  ).headers;

/** Sends a signed request. Connections are kept. @throws Error without an answer, and after the time limit */
export const sendSigned = (
  base: URL,
  signed: SignedRequest,
  credentials: Credentials,
): Promise<{ status: number; text: string; headers: Record<string, unknown> }> =>
  new Promise((resolve, reject) => {
    const path = `${base.pathname.replace(/\/$/, '')}${signed.path}`;
    const headers = signedHeaders(base, { ...signed, path }, credentials);
    const isClear = base.protocol === 'http:';
    const send = isClear ? requestInTheClear : request;
    const sent = send(
      {
        protocol: base.protocol,
        hostname: base.hostname,
        port: base.port,
        path,
        method: signed.method,
        headers,
        agent: agents[isClear ? 'http:' : 'https:'],
        signal: AbortSignal.timeout(signed.timeoutMs),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
        );
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(signed.body ?? '');
  });
