import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import LeastPrivilege from '../../../../plugins/least-privilege/index.ts';

type Service = ConstructorParameters<typeof LeastPrivilege>[0]['service'];
type Resources = Service['provider']['compiledCloudFormationTemplate']['Resources'];

const grants: Service['custom']['grants'] = {
  'lib/redis.ts': { secrets: { REDIS_URL: 'RedisUrl' }, securityGroups: ['RedisClients'] },
  'lib/broker.ts': { securityGroups: ['BrokerClients'] },
  'lib/settings.ts': { environment: { PING_SECONDS: 30 } },
};
/** The modules of each function's bundle. */
const bundles: Record<string, string[]> = {
  fan: ['lib/redis.ts', 'lib/broker.ts'],
  brokered: ['lib/broker.ts'],
  plain: ['lib/settings.ts'],
};

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Packages these functions, each with the bundle that its handler names. @returns the compiled resources */
const packageWith = (
  functions: Record<string, Partial<Service['functions'][string]> & { bundle: string }>,
  compiled: Resources = {},
): Resources => {
  const serviceDir = mkdtempSync(join(tmpdir(), 'chat-least-privilege-'));
  folders.push(serviceDir);
  mkdirSync(join(serviceDir, 'dist/package'), { recursive: true });
  const contents = Object.fromEntries(Object.entries(bundles).map(([name, all]) => [`${name}.mjs`, all]));
  writeFileSync(join(serviceDir, 'dist/package/contents.json'), JSON.stringify(contents));
  const definitions = Object.fromEntries(
    Object.entries(functions).map(([key, { bundle, ...more }]) => [
      key,
      { name: `chat-dev-${key}`, handler: `${bundle}.handler`, ...more },
    ]),
  );
  const { hooks } = new LeastPrivilege({
    serviceDir,
    service: {
      functions: definitions,
      custom: { grants },
      provider: { compiledCloudFormationTemplate: { Resources: compiled } },
    },
    getProvider: () => ({ getStage: () => 'dev' }),
    configSchemaHandler: { defineFunctionProperties: () => undefined },
    classes: { Error: class extends Error {} },
  });
  hooks['before:package:setupProviderConfiguration']?.();
  hooks['before:package:compileFunctions']?.();
  for (const [key, { vpc, environment }] of Object.entries(definitions)) {
    const id = `${key.charAt(0).toUpperCase()}${key.slice(1)}LambdaFunction`;
    compiled[id] = { Type: 'AWS::Lambda::Function', Properties: { vpc, environment } };
  }
  hooks['after:aws:package:finalize:mergeCustomProviderResources']?.();
  return compiled;
};
/** The names of the functions that a role may invoke. */
const callsOf = (resources: Resources, id: string) => {
  const [, statement] = JSON.stringify(resources[id]).split('["lambda:InvokeFunction"],"Resource":');
  return statement?.split('}]')[0]?.match(/chat-dev-\w+/g) ?? [];
};

it('keeps a function that speaks to the internet out of the VPC, with the settings of its bundle', () => {
  const resources = packageWith({
    callOut: { bundle: 'plain', internet: true, callers: ['ask'] },
    ask: { bundle: 'fan' },
  });
  expect(resources.CallOutLambdaFunction?.Properties).toEqual({
    vpc: undefined,
    environment: { PING_SECONDS: '30' },
  });
  expect(resources.AskLambdaFunction?.Properties.vpc).toBeDefined();
  expect(JSON.stringify(resources.CallOutRole)).not.toMatch(/ec2:|secretsmanager:|execute-api:/);
  expect(JSON.stringify(resources.CallOutLambdaFunction?.Metadata)).toContain('CKV_AWS_117');
  expect(resources.AskLambdaFunction?.Metadata).toBeUndefined();
});

it('lets the callers of a function invoke it, itself among them, and no other function', () => {
  const resources = packageWith({
    deliver: { bundle: 'fan', callers: ['push', 'deliver'] },
    push: { bundle: 'fan' },
    other: { bundle: 'fan' },
  });
  for (const id of ['DeliverRole', 'PushRole']) expect(callsOf(resources, id)).toEqual(['chat-dev-deliver']);
  expect(callsOf(resources, 'OtherRole')).toEqual([]);
});

it.each([
  ['its bundle holds a secret', { bundle: 'fan' }, 'holds lib/redis.ts, lib/broker.ts, which need secrets'],
  ['its bundle uses a server', { bundle: 'brokered' }, 'holds lib/broker.ts'],
  ['it has no callers', { bundle: 'plain', callers: [] }, 'Name the functions that may invoke it'],
  [
    'a caller is no function',
    { bundle: 'plain', callers: ['aks'] },
    'the caller "aks", which is no function',
  ],
  ['it has an event', { bundle: 'plain', events: [{ rabbitmq: {} }] }, 'has callers and events'],
])('refuses a function that speaks to the internet if %s', (_fault, marks, message) => {
  const ask = { bundle: 'fan' };
  expect(() => packageWith({ ask, out: { internet: true, callers: ['ask'], ...marks } })).toThrow(message);
});

it('refuses a function in the VPC that posts to connections, which it cannot reach', () => {
  const functions = { fan: { bundle: 'fan', postsToConnections: true }, plain: { bundle: 'plain' } };
  expect(() => packageWith(functions)).toThrow('"fan" posts to connections, which it cannot reach');
});

it('refuses a grant to a module that no bundle holds', () => {
  grants['lib/moved.ts'] = {};
  try {
    expect(() => packageWith({ fan: { bundle: 'fan' } })).toThrow('no function holds: lib/moved.ts');
  } finally {
    delete grants['lib/moved.ts'];
  }
});

const permission = (more: { Principal: string; SourceArn?: string }, DependsOn?: string[]) => ({
  Type: 'AWS::Lambda::Permission',
  ...(DependsOn === undefined ? {} : { DependsOn }),
  Properties: { Action: 'lambda:InvokeFunction', ...more },
});
const principal = 'apigateway.amazonaws.com';

it.each(['WEBSOCKET', 'HTTP'])('names the API of kind %s in a permission that lacks it', (ProtocolType) => {
  const resources = packageWith(
    { fan: { bundle: 'fan' } },
    {
      OtherApi: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType: 'HTTP' } },
      Api: { Type: 'AWS::ApiGatewayV2::Api', Properties: { ProtocolType } },
      Permission: permission({ Principal: principal }, ['FanLambdaFunction', 'Api']),
      Named: permission({ Principal: principal, SourceArn: 'arn' }),
    },
  );
  expect(JSON.stringify(resources.Permission?.Properties.SourceArn)).toContain('{"Api":{"Ref":"Api"}}');
  expect(resources.Named?.Properties.SourceArn).toBe('arn');
});

it.each([
  ['another service', permission({ Principal: 's3.amazonaws.com' }, ['Api'])],
  ['an API outside the template', permission({ Principal: principal })],
])('refuses a permission of %s without a source', (_whose, Permission) => {
  const Api = { Type: 'AWS::ApiGatewayV2::Api', Properties: {} };
  expect(() => packageWith({ fan: { bundle: 'fan' } }, { Api, Permission })).toThrow(
    'The permission Permission lets a service invoke a function from everywhere',
  );
});
