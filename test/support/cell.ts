import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Lambda, startLambda } from './lambda.ts';
import { packageFolder, type Resource, readTemplate, type Stage } from './packages.ts';
import { startSecretsManager } from './secrets-manager.ts';

const capitalized = (key: string) => `${key.charAt(0).toUpperCase()}${key.slice(1)}`;
export const secretArn = (logicalId: string) =>
  `arn:aws:secretsmanager:eu-west-1:000000000000:secret:${logicalId}`;

type Statement = { Effect: string; Action: string[]; Resource: unknown };
export const statementsOf = (role: Resource): Statement[] =>
  role.Properties.Policies.flatMap(
    ({ PolicyDocument }: { PolicyDocument: { Statement: Statement[] } }) => PolicyDocument.Statement,
  );

/** Logical ids of the secrets that a role may read. */
export const readableSecrets = (role: Resource): string[] =>
  statementsOf(role)
    .filter(({ Effect, Action }) => Effect === 'Allow' && Action.includes('secretsmanager:GetSecretValue'))
    .flatMap(({ Resource }) => (Resource as { Ref: string }[]).map(({ Ref }) => Ref));

/** A user with the rights that the template gives the one in MemoryDB. @returns the URL with that user */
export const createRedisUser = async (url: string, accessString: string): Promise<string> => {
  const redis = new Redis(url);
  try {
    await redis.call('ACL', 'SETUSER', 'chat', 'reset', '>redis-password', ...accessString.split(' '));
  } finally {
    redis.disconnect();
  }
  const own = new URL(url);
  own.username = 'chat';
  own.password = 'redis-password';
  return own.href;
};

/** Takes answers of custom resources as S3 does. */
const startAnswers = async () => {
  const answers: { Status: string; Reason?: string }[] = [];
  const server = createServer(async (request, response) => {
    answers.push(JSON.parse((await request.setEncoding('utf8').toArray()).join('')));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { answers, url: `http://127.0.0.1:${port}/answer`, close: () => server.close() };
};

/** An address of AWS' own services, which nobody answers here. */
const NOBODY = 'http://127.0.0.1:9';

/**
 * The packaged functions of a stage on local servers. Each has the environment of its template and nothing else; it
 * reads its secrets from a stand-in that lets it read what its role may.
 */
export const startCell = async (
  stage: Stage,
  urls: { MYSQL_URL: string; REDIS_URL: string; RABBITMQ_URL: string; OPENSEARCH_URL?: string },
  { indexPrefix = '' }: { indexPrefix?: string } = {},
) => {
  const { Resources } = readTemplate(stage);
  const resource = (id: string): Resource => {
    const found = Resources[id];
    if (found === undefined) throw new Error(`The template has no ${id}`);
    return found;
  };
  const secrets = await startSecretsManager((key, arn) =>
    readableSecrets(resource(`${capitalized(key)}Role`))
      .map(secretArn)
      .includes(arn),
  );
  secrets.values.set(secretArn('MysqlUrl'), urls.MYSQL_URL);
  secrets.values.set(
    secretArn('RedisUrl'),
    await createRedisUser(urls.REDIS_URL, resource('RedisAppUser').Properties.AccessString),
  );
  secrets.values.set(secretArn('RabbitmqUrl'), urls.RABBITMQ_URL);
  secrets.values.set(secretArn('OpensearchUrl'), urls.OPENSEARCH_URL ?? '');
  secrets.values.set(secretArn('JwtSecret'), 'a-secret-of-the-cloud-tests-with-48-characters-xx');
  const customResources = await startAnswers();
  const started: Lambda[] = [];

  return {
    secrets,
    customResources,
    functionKeys: Object.entries(Resources)
      .filter(([, { Type }]) => Type === 'AWS::Lambda::Function')
      .map(([id]) => id.replace(/LambdaFunction$/, ''))
      .map((id) => `${id.charAt(0).toLowerCase()}${id.slice(1)}`),

    start: async (key: string): Promise<Lambda> => {
      const { Properties } = resource(`${capitalized(key)}LambdaFunction`);
      const variables: Record<string, string | { Ref: string } | { 'Fn::Sub': string }> =
        Properties.Environment?.Variables ?? {};
      const lambda = await startLambda({
        archive: join(packageFolder(stage), `${key}.zip`),
        handler: Properties.Handler,
        environment: {
          ...Object.fromEntries(
            Object.entries(variables).map(([name, value]) => [
              name,
              typeof value === 'string' ? value : 'Ref' in value ? secretArn(value.Ref) : NOBODY,
            ]),
          ),
          ...(indexPrefix === '' ? {} : { OPENSEARCH_INDEX_PREFIX: indexPrefix }),
          LAMBDA_URL: NOBODY,
          AWS_REGION: 'eu-west-1',
          AWS_ACCESS_KEY_ID: key,
          AWS_SECRET_ACCESS_KEY: 'hush',
          AWS_SESSION_TOKEN: 'session',
          AWS_LAMBDA_FUNCTION_NAME: Properties.FunctionName,
          AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(Properties.MemorySize),
          AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.url,
        },
      });
      started.push(lambda);
      return lambda;
    },

    stop: async (): Promise<void> => {
      await Promise.all(started.map((lambda) => lambda.stop()));
      secrets.close();
      customResources.close();
    },
  };
};

export type Cell = Awaited<ReturnType<typeof startCell>>;
