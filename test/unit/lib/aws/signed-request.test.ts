import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { signedHeaders } from '#lib/aws/signed-request.ts';
import { connectionPath } from '#lib/connections/client.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 5) });
});
afterEach(() => {
  vi.useRealTimers();
});

const credentials = {
  region: 'eu-west-1',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const url = new URL('https://abc123.execute-api.eu-west-1.amazonaws.com/dev');

/** Made by AWS' own signer, @smithy/signature-v4, from the same values. */
const vectors = [
  [
    'POST',
    'L0SM9cOFvHcCIhw=',
    '{"type":"pong"}',
    '35e06fbc3ee242698f181ed529e7e29e30c9427889719491c00763d68913f1b2',
  ],
  [
    'DELETE',
    'L0SM9cOFvHcCIhw=',
    undefined,
    '021b8a07cd17aa29778a9f992d8dba7bd8bf1903b09e112a8a881b7283d177eb',
  ],
  ['POST', 'a+b/c==', 'x', '6c89856891f518eddcb46401c7b1f08ce7a5ee62eddb3dd9a357c01423e38036'],
] as const;

describe('the signature of a call to a connection', () => {
  it.each(vectors)('%s %s is that of AWS', (method, id, body, signature) => {
    const headers = signedHeaders(
      url,
      {
        service: 'execute-api',
        method,
        path: `/dev${connectionPath(id)}`,
        ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
      },
      credentials,
    );
    const names = `${body === undefined ? '' : 'content-length;content-type;'}host;x-amz-date`;
    expect(headers?.Authorization).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/execute-api/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    );
  });

  it('sends the end of an id encoded', () => {
    expect(connectionPath('L0SM9cOFvHcCIhw=')).toBe('/@connections/L0SM9cOFvHcCIhw%3D');
  });
});
