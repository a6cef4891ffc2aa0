import { type Credentials, sendSigned } from '../aws/signed-request.ts';

/**
 * Returns a function that invokes another function and waits for its result.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 * @param url of the Lambda API
 * @param name the full name of the function
 */
export const createInvoke =
  ({
    url,
    name,
    credentials,
    timeoutMs,
  }: {
    url: string;
    name: string;
    credentials: Credentials;
    timeoutMs: number;
  }) =>
  /** @returns the function's result as JSON. @throws Error without the payload, if the function failed or did not answer */
  async (payload: object): Promise<unknown> => {
    const { status, text, headers } = await sendSigned(
      new URL(url),
      {
        service: 'lambda',
        method: 'POST',
        path: `/2015-03-31/functions/${encodeURIComponent(name)}/invocations`,
        headers: { 'Content-Type': 'application/json', 'X-Amz-Invocation-Type': 'RequestResponse' },
        body: JSON.stringify(payload),
        timeoutMs,
      },
      credentials,
    );
    if (status !== 200 || headers['x-amz-function-error'] !== undefined)
      throw new Error(`The function ${name} failed: status ${status}`);
    return JSON.parse(text);
  };

export type Invoke = ReturnType<typeof createInvoke>;
