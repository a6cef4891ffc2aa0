import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type SecretsManager = {
  url: string;
  /** Values by ARN. */
  values: Map<string, string>;
  close: () => void;
};

/**
 * Stands in for Secrets Manager's endpoint: answers `GetSecretValue` to a caller whose access key may read the secret.
 *
 * @param mayRead whether the owner of an access key may read an ARN, as its role says
 */
export const startSecretsManager = async (
  mayRead: (accessKeyId: string, arn: string) => boolean,
): Promise<SecretsManager> => {
  const values = new Map<string, string>();
  const server = createServer(async (request, response) => {
    const { SecretId: arn }: { SecretId: string } = JSON.parse(
      (await request.setEncoding('utf8').toArray()).join(''),
    );
    const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '') ?? [];
    const isCall = request.headers['x-amz-target'] === 'secretsmanager.GetSecretValue';
    if (!isCall || !mayRead(accessKeyId, arn)) {
      response.writeHead(400).end(JSON.stringify({ __type: 'AccessDeniedException' }));
      return;
    }
    response.end(JSON.stringify({ ARN: arn, SecretString: values.get(arn) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, values, close: () => server.close() };
};
