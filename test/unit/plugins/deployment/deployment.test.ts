import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import Deployment from '../../../../plugins/deployment/index.ts';
import type { Resources } from '../../../../plugins/deployment/template.ts';
import { type Account, startAccount } from './account.ts';

let account: Account | undefined;
afterEach(() => account?.stop());

const small = JSON.stringify({ AccountLimit: { ConcurrentExecutions: 10 } });
const large = JSON.stringify({ AccountLimit: { ConcurrentExecutions: 1_000 } });
const roleExists = '<GetRoleResponse><GetRoleResult/></GetRoleResponse>';

/** The plugin in a service of two functions that reserve 62 environments. */
const deploymentOf = (
  config: object,
  {
    resources = {},
    isProtected = false,
    migrates = true,
    secretsDeletion = 'Delete',
    zones = 'euw1-az1,euw1-az2',
  }: {
    resources?: Resources;
    isProtected?: boolean;
    migrates?: boolean;
    secretsDeletion?: string;
    zones?: string;
  } = {},
) => {
  const notices: string[] = [];
  const plugin = new Deployment(
    {
      service: {
        functions: { createChat: { reservedConcurrency: 50 }, listChats: { reservedConcurrency: 12 } },
        provider: { compiledCloudFormationTemplate: { Resources: resources } },
        custom: { zones, deployment: { isProtected, migrates, secretsDeletion } },
      },
      getProvider: () => ({
        getAwsSdkV3Config: async () => config,
        naming: { getStackName: () => 'chat-dev' },
      }),
      classes: { Error: class extends Error {} },
    },
    {},
    { log: { notice: (text) => notices.push(text) } },
  );
  const run = async (hook: string) => plugin.hooks[hook]?.();
  return { notices, run, complete: () => run('after:aws:package:finalize:mergeCustomProviderResources') };
};
const database = (Type: string, Properties: Record<string, unknown> = {}): Resources => ({
  Mysql: { Type, Properties },
});

it('stops a deploy without room before it creates anything', async () => {
  account = await startAccount({
    GetAccountSettings: { body: small },
    GetTemplate: { body: '<GetTemplateResponse/>' },
  });
  await expect(deploymentOf(account.config).run('before:deploy:deploy')).rejects.toThrow(
    'this stage needs 162',
  );
  expect(account.calls).toEqual(['GetAccountSettings', 'GetTemplate']);
});

it('asks for the room and the role before a deploy', async () => {
  account = await startAccount({ GetAccountSettings: { body: large }, GetRole: { body: roleExists } });
  await deploymentOf(account.config).run('before:deploy:deploy');
  expect(account.calls).toEqual(['GetAccountSettings', 'GetRole']);
});

it.each([
  ['AWS::RDS::DBCluster', 'ModifyDBCluster', 'DBClusterIdentifier'],
  ['AWS::RDS::DBInstance', 'ModifyDBInstance', 'DBInstanceIdentifier'],
])(
  'protects a database of the type %s once the stack is complete, and ends it when told',
  async (type, action, name) => {
    account = await startAccount({ [action]: { body: '<a/>' } });
    for (const isProtected of [true, false])
      await deploymentOf(account.config, { resources: database(type), isProtected }).run(
        'after:deploy:deploy',
      );
    expect(account.requests.map((request) => Object.fromEntries(request))).toEqual([
      expect.objectContaining({ Action: action, [name]: 'chat-dev', DeletionProtection: 'true' }),
      expect.objectContaining({ Action: action, [name]: 'chat-dev', DeletionProtection: 'false' }),
    ]);
  },
);

it('says that the stack is deployed when its database stays unprotected', async () => {
  account = await startAccount({
    ModifyDBCluster: {
      status: 403,
      body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you.</Message></Error></ErrorResponse>',
    },
  });
  await expect(
    deploymentOf(account.config, { resources: database('AWS::RDS::DBCluster'), isProtected: true }).run(
      'after:deploy:deploy',
    ),
  ).rejects.toThrow(/^The stack chat-dev is deployed, but .* not you\. Deploy again, or /);
});

const migrated = (): Resources => ({
  Migration: { Type: 'Custom::Migration', Properties: {} },
  MigrateLambdaFunction: { Type: 'AWS::Lambda::Function', Properties: {} },
  CreateChatLambdaFunction: { Type: 'AWS::Lambda::Function', Properties: {}, DependsOn: ['Logs'] },
  Mapping: { Type: 'AWS::Lambda::EventSourceMapping', Properties: {} },
});

it('migrates before every other function and event source mapping', async () => {
  const resources = migrated();
  await deploymentOf({}, { resources }).complete();
  expect(resources.Migration?.Properties.Deployment).toMatch(/^\d{4}-/);
  expect(resources.MigrateLambdaFunction?.DependsOn).toBeUndefined();
  expect(resources.CreateChatLambdaFunction?.DependsOn).toEqual(['Logs', 'Migration']);
  expect(resources.Mapping?.DependsOn).toEqual(['Migration']);
});

it('leaves the migration out of a deploy with MIGRATE=false', async () => {
  const resources = migrated();
  await deploymentOf({}, { resources, migrates: false }).complete();
  expect(Object.keys(resources)).toEqual(['MigrateLambdaFunction', 'CreateChatLambdaFunction', 'Mapping']);
  expect(JSON.stringify(resources)).not.toContain('"Migration"');
});

const settings = {
  MasterUsername: 'chat',
  StorageEncrypted: true,
  KmsKeyId: 'key',
  BackupRetentionPeriod: 7,
};

it.each([
  ['AWS::RDS::DBInstance', 'DBSnapshotIdentifier', { DBName: 'chat' }],
  ['AWS::RDS::DBCluster', 'SnapshotIdentifier', { DatabaseName: 'chat' }],
])('restores the %s that names a snapshot, and inherits from it', async (type, property, name) => {
  const resources = database(type, { ...settings, ...name, [property]: 'before' });
  await deploymentOf({}, { resources }).complete();
  expect(resources.Mysql?.Properties).toEqual({ [property]: 'before', BackupRetentionPeriod: 7 });
  const empty = database(type, { ...settings, ...name, [property]: '' });
  await deploymentOf({}, { resources: empty }).complete();
  expect(empty.Mysql?.Properties).toEqual({ ...settings, ...name });
});

it('restores a Redis that names a snapshot', async () => {
  for (const [given, left] of [
    ['before', { KmsKeyId: 'key', SnapshotName: 'before' }],
    ['', { KmsKeyId: 'key' }],
  ] as const) {
    const resources = database('AWS::MemoryDB::Cluster', { KmsKeyId: 'key', SnapshotName: given });
    await deploymentOf({}, { resources }).complete();
    expect(resources.Mysql?.Properties).toEqual(left);
  }
});

it('leaves the instances of a cluster as they are', async () => {
  const resources = database('AWS::RDS::DBInstance', { DBClusterIdentifier: 'cluster', KmsKeyId: 'key' });
  await deploymentOf({}, { resources }).complete();
  expect(resources.Mysql?.Properties).toEqual({ DBClusterIdentifier: 'cluster', KmsKeyId: 'key' });
});

it('says once what a removal keeps', async () => {
  for (const [secretsDeletion, kept] of [
    ['Delete', /^Kept: the final snapshots of MySQL and Redis, the KMS key that they are encrypted with\. /],
    ['RetainExceptOnCreate', /encrypted with and the secrets\. /],
  ] as const) {
    const { notices, run } = deploymentOf({}, { secretsDeletion });
    for (const hook of ['before:remove:remove', 'remove:remove', 'after:remove:remove']) await run(hook);
    expect(notices).toEqual([expect.stringMatching(kept)]);
  }
});

it.each([
  '',
  'euw1-az1',
  'euw1-az1,euw1-az1',
  'euw1-az1,euw1-az2,euw1-az3',
  'eu-west-1a,eu-west-1b',
  'euw1-az1, euw1-az2',
])('refuses "%s" as a pair of zones', async (zones) => {
  await expect(deploymentOf({}, { zones }).complete()).rejects.toThrow(/^serverless\.yml: .*ZONES=/);
});

it('knows two zones for each of its regions', async () => {
  const { custom } = parse(readFileSync(join(import.meta.dirname, '../../../../serverless.yml'), 'utf8'));
  const pairs = Object.values<string>(custom.zonesOfRegions);
  expect(pairs.length).toBeGreaterThan(10);
  for (const zones of pairs) {
    await deploymentOf({}, { zones }).complete();
    const [first = '', second = ''] = zones.split(',');
    expect(first.split('-')[0]).toBe(second.split('-')[0]);
  }
});
