import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import {
  CloudFormationClient,
  DescribeStacksCommand,
  paginateDescribeStackEvents,
} from '@aws-sdk/client-cloudformation';
import {
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  ListFunctionsCommand,
} from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createRedisUser } from '../../support/cell.ts';
import { Client, type Listed, signIn } from '../../support/client.ts';
import { readEvent } from '../../support/event-file.ts';
import { readTemplate, type Stage, type Template } from '../../support/packages.ts';
import { type Emulator, isInstalled, startEmulator } from './emulator.ts';
import { startMappings } from './mappings.ts';
import { createVersion, type Version } from './version.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const osls = join(checkout, 'node_modules/serverless/bin/serverless.js');
const versions = mkdtempSync(join(tmpdir(), 'chat-versions-'));
const failing = 'INSERT INTO a_table_that_nobody_created (id) VALUES (1)';

let aws: Emulator;
let stacks: CloudFormationClient;
let lambda: LambdaClient;

/** Runs `sls`. @returns its exit code and its output */
const sls = async (...args: string[]): Promise<{ code: number; output: string }> => {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [osls, ...args], {
      cwd: checkout,
      env: aws.environment,
      timeout: 170_000,
    });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: code ?? 1, output: `${stdout}${stderr}` };
  }
};
const deploy = (stage: Stage, { folder }: Version, ...more: string[]) =>
  sls('deploy', '--stage', stage, '--package', folder, ...more);

const stackOf = async (stage: Stage) => {
  const { Stacks = [] } = await stacks.send(new DescribeStacksCommand({ StackName: `chat-${stage}` }));
  return Stacks[0];
};
const versionOf = async (key: string, stage: Stage) => {
  const FunctionName = `chat-${stage}-${key}`;
  return (await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }))).Description;
};
const outputOf = async (stage: Stage, key: string): Promise<string> => {
  const outputs = (await stackOf(stage))?.Outputs ?? [];
  return outputs.find(({ OutputKey }) => OutputKey === key)?.OutputValue ?? '';
};
/** The emulator's address of `https://<id>.execute-api.<region>.amazonaws.com`. */
const apiOf = async (stage: Stage): Promise<string> =>
  `${aws.url}/_aws/execute-api/${await outputOf(stage, 'HttpApiId')}/$default`;
const expectDeployed = async (
  { code, output }: { code: number; output: string },
  stage: Stage,
  { number }: Version,
) => {
  if (code !== 0) throw new Error(`sls failed:\n${output}\nThe emulator's log ends with:\n${aws.log()}`);
  expect((await stackOf(stage))?.StackStatus).toMatch(/^(CREATE|UPDATE)_COMPLETE$/);
  expect(await versionOf('getHealth', stage)).toBe(`version ${number}`);
  expect(await new Client(await apiOf(stage)).get('/health')).toMatchObject({ status: 200 });
};

/** A fault of version 4 of dev: without it, the emulator could allow everything to everybody, and no test would fail. */
const takeSecretsFromDeadLetters = ({ DeadLettersRole }: Template['Resources']): void => {
  for (const { PolicyDocument } of DeadLettersRole?.Properties.Policies ?? [])
    PolicyDocument.Statement = PolicyDocument.Statement.filter(
      ({ Sid }: { Sid: string }) => Sid !== 'ReadSecrets',
    );
};
/** The error of a function that was refused its secrets. */
const unreadable = 'The configuration cannot be read.';
/** @returns the answer of the function, or its error */
const listDeadLetters = async (): Promise<string> => {
  const Payload = JSON.stringify(readEvent('deadLetters'));
  const { Payload: answer } = await lambda.send(
    new InvokeCommand({ FunctionName: 'chat-dev-deadLetters', Payload }),
  );
  return answer?.transformToString() ?? '';
};

/** Removes a stage. @returns the logical ids of the resources that CloudFormation keeps */
const remove = async (stage: Stage): Promise<string[]> => {
  const StackName = (await stackOf(stage))?.StackId;
  const { code, output } = await sls('remove', '--stage', stage);
  if (code !== 0) throw new Error(`sls failed:\n${output}\nThe emulator's log ends with:\n${aws.log()}`);
  await expect(stackOf(stage)).rejects.toThrow('does not exist');
  const kept = new Set<string>();
  for await (const { StackEvents = [] } of paginateDescribeStackEvents({ client: stacks }, { StackName })) {
    for (const { ResourceStatus, LogicalResourceId = '' } of StackEvents)
      if (ResourceStatus === 'DELETE_SKIPPED') kept.add(LogicalResourceId);
  }
  return [...kept].sort();
};

/** Each step needs the steps before it. */
describe.skipIf(!isInstalled())('a deploy to an emulated account', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    const { OPENSEARCH_URL = '', ...urls } = inject('urls');
    const accessString = readTemplate('dev').Resources.RedisAppUser?.Properties.AccessString;
    aws = await startEmulator({
      ...urls,
      REDIS_URL: await createRedisUser(urls.REDIS_URL, accessString),
      OPENSEARCH_URL,
    });
    stacks = new CloudFormationClient(aws.clientConfig);
    lambda = new LambdaClient(aws.clientConfig);
  });
  afterAll(async () => {
    await aws?.stop();
    rmSync(versions, { recursive: true, force: true });
  });

  it('reaches an account that listens on loopback alone', async () => {
    const { port } = new URL(aws.url);
    const addresses = Object.values(networkInterfaces())
      .flat()
      .flatMap((one) => (one?.family === 'IPv4' && !one.internal ? [one.address] : []));
    // A listener on all interfaces also answers at the second address of loopback.
    for (const address of ['127.0.0.2', ...addresses])
      await expect(fetch(`http://${address}:${port}/_ministack/health`), address).rejects.toThrow();
  });

  let first: Version;
  it('creates dev, with one command', async () => {
    first = createVersion('dev', 1, { into: versions });
    await expectDeployed(await deploy('dev', first), 'dev', first);
  });

  it('deploys dev again, and names its WebSocket API in the last line', async () => {
    const second = createVersion('dev', 2, { into: versions });
    const deployed = await deploy('dev', second, '--force');
    await expectDeployed(deployed, 'dev', second);
    const socketUrl = await outputOf('dev', 'SocketUrl');
    expect(deployed.output.trimEnd().split('\n').at(-1)).toBe(`SocketUrl: ${socketUrl}`);
    const [, id] = /^wss:\/\/(\w+)\./.exec(socketUrl) ?? [];
    const socket = new WebSocket(`${aws.url.replace('http', 'ws')}/_aws/execute-api/${id}/dev`);
    await once(socket, 'open', { signal: AbortSignal.timeout(30_000) });
    socket.close();
  });

  it('rolls back a first deploy of prod whose migration fails, with the reason', async () => {
    const { code, output } = await deploy(
      'prod',
      createVersion('prod', 1, { into: versions, migration: failing }),
    );
    expect(code).not.toBe(0);
    expect(output).toMatch(/ER_NO_SUCH_TABLE/);
    expect((await stackOf('prod'))?.StackStatus).toMatch(/ROLLBACK_COMPLETE$/);
    expect(await new Client(await apiOf('dev')).get('/health')).toMatchObject({ status: 200 });
  });

  it('creates prod beside dev by the same command, after the migration is corrected', async () => {
    const corrected = createVersion('prod', 2, { into: versions });
    await expectDeployed(await deploy('prod', corrected), 'prod', corrected);
    expect(await apiOf('prod')).not.toBe(await apiOf('dev'));
  });

  it('keeps the version in service if a migration fails, and takes the corrected one', async () => {
    const failed = createVersion('dev', 3, { into: versions, migration: failing });
    const { code, output } = await deploy('dev', failed);
    expect(code).not.toBe(0);
    expect(output).toMatch(/ER_NO_SUCH_TABLE/);
    expect((await stackOf('dev'))?.StackStatus).toBe('UPDATE_ROLLBACK_COMPLETE');
    expect(await versionOf('createMessage', 'dev')).toBe('version 2');
    expect(await new Client(await apiOf('dev')).get('/health')).toMatchObject({ status: 200 });
    const corrected = createVersion('dev', 4, { into: versions, change: takeSecretsFromDeadLetters });
    await expectDeployed(await deploy('dev', corrected), 'dev', corrected);
  });

  it('denies a function the secrets that its role does not allow', async () => {
    expect(await listDeadLetters()).toContain(unreadable);
  });

  it('serves a conversation, each function with its own role and secrets', async () => {
    const api = await apiOf('dev');
    const account = { name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' };
    await new Client(api).post('/users', account);
    const ada = new Client(api, await signIn(api, account));
    const { body: application } = await ada.post<{ token: string }>('/applications', { name: 'Support' });
    const chats = `/applications/${application.token}/chats`;
    expect(await ada.post(chats)).toMatchObject({ status: 200, body: { chatNumber: 1 } });
    const messages = `${chats}/1/messages`;
    expect(await ada.post(messages, { body: 'Hello from the emulated cloud' })).toMatchObject({
      status: 200,
      body: { messageNumber: 1 },
    });
    const read = await ada.get<Listed[]>(messages);
    expect(read.body).toMatchObject([
      { messageNumber: 1, senderName: 'Ada', body: 'Hello from the emulated cloud' },
    ]);
    const mappings = await startMappings(lambda, inject('urls').RABBITMQ_URL, 'chat-dev-');
    try {
      expect(mappings.count).toBeGreaterThan(0);
      const found = async () => (await ada.get<Listed[]>(`${messages}/search?q=emulated`)).body;
      await expect.poll(found, { timeout: 60_000, interval: 500 }).toMatchObject([{ messageNumber: 1 }]);
      expect(mappings.failures).toEqual([]);
    } finally {
      await mappings.stop();
    }
  });

  it('goes back to an earlier version', async () => {
    await expectDeployed(
      await sls('rollback', '--stage', 'dev', '--timestamp', first.timestamp),
      'dev',
      first,
    );
  });

  it('removes dev, with all of its functions, and leaves prod alone', async () => {
    expect(await remove('dev')).toEqual(['Key']);
    const { Functions = [] } = await lambda.send(new ListFunctionsCommand({ MaxItems: 1_000 }));
    expect(Functions.filter(({ FunctionName }) => FunctionName?.startsWith('chat-dev-'))).toEqual([]);
    expect(await new Client(await apiOf('prod')).get('/health')).toMatchObject({ status: 200 });
  });

  it('refuses to remove prod, and serves on', async () => {
    const { code, output } = await sls('remove', '--stage', 'prod');
    expect(code).not.toBe(0);
    expect(output).toContain('deletion protection is enabled');
    expect(await new Client(await apiOf('prod')).get('/health')).toMatchObject({ status: 200 });
  });

  it('removes prod after a deploy without protection, and keeps its secrets and its key', async () => {
    // Without a finished package, as docs/operations.md says: the protection is a setting of the package.
    const { code, output } = await sls(
      ...'deploy --stage prod --force --param=DELETION_PROTECTION=false'.split(' '),
    );
    expect(code, output).toBe(0);
    const secrets = Object.entries(readTemplate('prod').Resources).flatMap(([id, { Type }]) =>
      Type === 'AWS::SecretsManager::Secret' ? [id] : [],
    );
    expect(await remove('prod')).toEqual(['Key', ...secrets].sort());
  });
});
