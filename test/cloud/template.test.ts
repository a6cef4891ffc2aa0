import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '#lib/contracts/commands/all.ts';
import { routes } from '#lib/contracts/index.ts';
import { readableSecrets, statementsOf } from '../support/cell.ts';
import { type Resource, readTemplate, type Stage, stages } from '../support/packages.ts';

const root = resolve(import.meta.dirname, '../..');
const capitalized = (key: string) => `${key.charAt(0).toUpperCase()}${key.slice(1)}`;
const operations = readFileSync(join(root, 'docs/operations.md'), 'utf8');
/** Which modules each bundle holds; both stages have the same bundles. */
const contents = (): Record<string, string[]> =>
  JSON.parse(readFileSync(join(root, 'dist/package/contents.json'), 'utf8'));

/** What a service, rather than this project, allows. https://docs.aws.amazon.com/ */
const limits = {
  /** Of 500. Beyond this, move resources into nested stacks. */
  resources: 480,
  templateBytes: 1_000_000,
  routes: 300,
  httpApiTimeoutSeconds: 30,
  securityGroupsOfAnInterface: 5,
  /** Of Lambda's 1,000, less the 100 that it keeps for functions without a reservation. */
  reservedConcurrency: 900,
  /** mq.m7g.medium and mq.m7g.large. */
  brokerConnections: { 'mq.m7g.medium': 300, 'mq.m7g.large': 5_000 } as Record<string, number>,
  redisConnections: 65_000,
};
/** Connections of one execution environment: the pool; Redis also one that looks for the primary. */
const perEnvironment = { mysql: 2, redis: 2, rabbitmq: 1 };
/** While a deploy runs, environments of both versions hold connections. */
const versions = 2;

const readStage = (stage: Stage) => {
  const template = readTemplate(stage);
  const of = (type: string): [string, Resource][] =>
    Object.entries(template.Resources).filter(([, { Type }]) => Type === type);
  const resource = (id: string): Resource => {
    const found = template.Resources[id];
    if (found === undefined) throw new Error(`no ${id}`);
    return found;
  };
  const functions = of('AWS::Lambda::Function').map(([id, { Properties }]) => {
    const name = id.replace(/LambdaFunction$/, '');
    const modules = contents()[String(Properties.Handler).replace(/\.handler$/, '.mjs')] ?? [];
    return { id, name, Properties, role: resource(`${name}Role`), modules };
  });
  return { template, of, resource, functions };
};

describe.each(stages)('the template of %s', (stage) => {
  const { template, of, resource, functions } = readStage(stage);
  const text = JSON.stringify(template);

  it('fits into one stack', () => {
    expect(Object.keys(template.Resources).length).toBeLessThan(limits.resources);
    expect(text.length).toBeLessThan(limits.templateBytes);
    expect(of('AWS::ApiGatewayV2::Route').length).toBeLessThan(limits.routes);
  });

  it("holds nothing of the deployer's environment", () => {
    expect(text).not.toContain('leaked-from-the-environment');
  });

  describe('the HTTP API', () => {
    const httpRoutes = of('AWS::ApiGatewayV2::Route').filter(
      ([, { Properties }]) => Properties.ApiId.Ref === 'HttpApi',
    );
    const wired = httpRoutes.map(([, { Properties }]) => {
      const target: string = Properties.Target['Fn::Join'][1][1].Ref;
      return `${Properties.RouteKey} → ${target.replace('HttpApiIntegration', '')}`;
    });

    it('leads every route of the contracts to its function, with and without a trailing slash', () => {
      const contracted = Object.values(routes).flatMap(({ method, path, function: key }) =>
        // `/` is its own twin.
        (path === '/' ? [''] : ['', '/']).map((slash) => `${method} ${path}${slash} → ${capitalized(key)}`),
      );
      expect(wired).toEqual(expect.arrayContaining(contracted));
    });

    it('leads all other requests, preflights and HEAD among them, to a function of ours', () => {
      expect(wired).toContain('$default → RejectUnknownRoute');
      expect(resource('HttpApi').Properties.CorsConfiguration).toBeUndefined();
    });

    it('logs each access and throttles each route', () => {
      const { Properties } = resource('HttpApiStage');
      expect(Properties.AccessLogSettings.DestinationArn).toBeDefined();
      const settings = [Properties.DefaultRouteSettings, ...Object.values(Properties.RouteSettings)];
      for (const { ThrottlingRateLimit, ThrottlingBurstLimit } of settings) {
        expect(ThrottlingRateLimit).toBeGreaterThan(0);
        expect(ThrottlingBurstLimit).toBeGreaterThan(0);
      }
      // Routes with a limit by client address have no throttle, which all callers would share.
      expect(Object.keys(Properties.RouteSettings).sort()).toEqual(['GET /health', 'GET /health/']);
      const ids = httpRoutes
        .filter(([, route]) => route.Properties.RouteKey in Properties.RouteSettings)
        .map(([id]) => id);
      expect([resource('HttpApiStage').DependsOn].flat()).toEqual(expect.arrayContaining(ids));
    });

    it('waits longer than its functions may run', () => {
      const behind = new Set(wired.map((line) => line.split(' → ')[1]));
      for (const { name, Properties } of functions.filter(({ name }) => behind.has(name)))
        expect(Properties.Timeout, name).toBeLessThan(limits.httpApiTimeoutSeconds);
    });
  });

  describe('the event source mappings', () => {
    const mappings = of('AWS::Lambda::EventSourceMapping').map(([, mapping]) => mapping);

    it('lead every queue to the function of its command, without a window', () => {
      const wired = mappings.map(
        ({ Properties }) => `${Properties.Queues[0]} → ${JSON.stringify(Properties.FunctionName)}`,
      );
      for (const { queue, function: key } of commands)
        expect(
          wired.filter(
            (line) => line.startsWith(`${queue} → `) && line.includes(`${capitalized(key)}LambdaFunction`),
          ),
        ).toHaveLength(1);
      for (const { Properties } of mappings) {
        expect(Properties.MaximumBatchingWindowInSeconds).toBe(0);
        expect(Properties.EventSourceArn).toEqual({ 'Fn::GetAtt': ['Broker', 'Arn'] });
      }
    });

    it('wait for the migration, which declares their queues', () => {
      for (const { DependsOn } of mappings) expect([DependsOn].flat()).toContain('Migration');
    });

    it('reach the broker and the endpoints from the subnets and with the group of the broker', () => {
      const groupOf = (id: string) => ({ 'Fn::GetAtt': [id, 'GroupId'] });
      const { SubnetIds, SecurityGroups, PubliclyAccessible } = resource('Broker').Properties;
      expect(PubliclyAccessible).toBe(false);
      expect(SecurityGroups).toEqual([groupOf('BrokerGroup')]);
      const rules = (type: 'Ingress' | 'Egress', other: 'Source' | 'Destination') =>
        of(`AWS::EC2::SecurityGroup${type}`).map(
          ([, { Properties }]) =>
            `${Properties.GroupId['Fn::GetAtt'][0]} ${Properties[`${other}SecurityGroupId`]['Fn::GetAtt'][0]} ${Properties.FromPort}-${Properties.ToPort}`,
        );
      expect(rules('Ingress', 'Source')).toEqual(
        expect.arrayContaining(['BrokerGroup BrokerGroup 5671-5671', 'EndpointGroup BrokerGroup 443-443']),
      );
      expect(rules('Egress', 'Destination')).toEqual(
        expect.arrayContaining(['BrokerGroup BrokerGroup 5671-5671', 'BrokerGroup EndpointGroup 443-443']),
      );
      for (const service of ['secretsmanager', 'lambda', 'sts']) {
        const [endpoint] = of('AWS::EC2::VPCEndpoint').filter(([, { Properties }]) =>
          JSON.stringify(Properties.ServiceName).endsWith(`.${service}"}`),
        );
        expect(endpoint?.[1].Properties, service).toMatchObject({
          VpcEndpointType: 'Interface',
          PrivateDnsEnabled: true,
          SubnetIds: expect.arrayContaining(SubnetIds),
          SecurityGroupIds: [groupOf('EndpointGroup')],
        });
      }
    });

    it('may use the password of the broker, with the role of their function', () => {
      for (const { Properties } of mappings) {
        const name = JSON.stringify(Properties.FunctionName).replace(/.*"(\w+)LambdaFunction".*/, '$1');
        expect(readableSecrets(resource(`${name}Role`))).toContain('RabbitmqUser');
        expect(Properties.SourceAccessConfigurations).toContainEqual({
          Type: 'BASIC_AUTH',
          URI: { Ref: 'RabbitmqUser' },
        });
        const actions = statementsOf(resource(`${name}Role`)).flatMap(({ Action }) => Action);
        expect(actions).toEqual(expect.arrayContaining(['mq:DescribeBroker', 'ec2:DescribeVpcs']));
      }
    });
  });

  describe('the functions', () => {
    it.each([
      ['lib/mysql/connection/database.ts', 'MysqlUrl', 'MysqlClients'],
      ['lib/redis/connection/client.ts', 'RedisUrl', 'RedisClients'],
      ['lib/rabbitmq/connection.ts', 'RabbitmqUrl', 'BrokerClients'],
      ['lib/opensearch/client.ts', 'OpensearchUrl', 'SearchClients'],
    ])('may use the server of %s exactly if their bundles hold it', (module, secret, group) => {
      for (const { name, Properties, role, modules } of functions) {
        const holds = modules.includes(module);
        expect(readableSecrets(role).includes(secret), name).toBe(holds);
        expect(JSON.stringify(Properties.Environment ?? {}).includes(`"${secret}"`), name).toBe(holds);
        expect(JSON.stringify(Properties.VpcConfig ?? {}).includes(`"${group}"`), name).toBe(holds);
      }
      expect(functions.some(({ modules }) => modules.includes(module))).toBe(true);
      expect(functions.some(({ modules }) => !modules.includes(module))).toBe(true);
    });

    it('hold JWT_SECRET exactly if their bundles derive keys from it', () => {
      for (const { name, role, modules } of functions)
        expect(readableSecrets(role).includes('JwtSecret'), name).toBe(modules.includes('lib/auth/keys.ts'));
    });

    it('that answer public documents hold no secret and reach no server, and the health check reads no token', () => {
      const of = (key: string) => functions.find(({ name }) => name === key) ?? expect.unreachable(key);
      for (const key of ['GetDocs', 'GetOpenapi']) {
        expect(readableSecrets(of(key).role)).toEqual([]);
        expect(JSON.stringify(of(key).Properties.VpcConfig)).not.toContain('Clients');
        expect(JSON.stringify(of(key).Properties.Environment)).not.toContain('LIMIT_');
      }
      expect(readableSecrets(of('GetHealth').role)).not.toContain('JwtSecret');
      expect(readableSecrets(of('GetHealth').role)).toContain('RedisUrl');
    });

    it('have no secret in their environment', () => {
      for (const { name, Properties } of functions) {
        expect(JSON.stringify(Properties.Environment ?? {}), name).not.toMatch(/resolve:|Password|:\/\/.*@/);
      }
    });

    it('have a role each, which allows nothing on "*" but network interfaces', () => {
      for (const { name, Properties, role } of functions) {
        expect(Properties.Role).toEqual({ 'Fn::GetAtt': [`${name}Role`, 'Arn'] });
        const open = statementsOf(role).filter(
          ({ Effect, Resource }) => Effect === 'Allow' && JSON.stringify(Resource).includes('"*"'),
        );
        for (const { Action } of open) for (const action of Action) expect(action).toMatch(/^ec2:/);
      }
    });

    it('fit into a network interface and the reserved concurrency of an account', () => {
      for (const { name, Properties } of functions) {
        expect(Properties.VpcConfig?.SecurityGroupIds.length ?? 0, name).toBeLessThanOrEqual(
          limits.securityGroupsOfAnInterface,
        );
        expect(Properties.ReservedConcurrentExecutions, name).toBeGreaterThan(0);
      }
      const reserved = functions.reduce(
        (sum, { Properties }) => sum + Properties.ReservedConcurrentExecutions,
        0,
      );
      expect(reserved).toBeLessThanOrEqual(limits.reservedConcurrency);
    });

    it('run on Node 24 and arm64', () => {
      for (const { Properties } of functions)
        expect(Properties).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'] });
    });

    it('wait for the migration, so that a failed one leaves the version before', () => {
      for (const { name } of functions.filter(({ name }) => name !== 'Migrate'))
        expect([resource(`${name}LambdaFunction`).DependsOn].flat(), name).toContain('Migration');
      expect(resource('Migration').Properties).toMatchObject({
        ServiceToken: { 'Fn::GetAtt': ['MigrateLambdaFunction', 'Arn'] },
        Deployment: expect.stringMatching(/^\d{4}-/),
      });
      expect(Number(resource('Migration').Properties.ServiceTimeout)).toBeGreaterThan(
        resource('MigrateLambdaFunction').Properties.Timeout,
      );
    });
  });

  describe('the connections', () => {
    const environmentsWith = (module: string) =>
      functions
        .filter(({ modules }) => modules.includes(module))
        .reduce((sum, { Properties }) => sum + Properties.ReservedConcurrentExecutions, 0);
    const mysql = versions * perEnvironment.mysql * environmentsWith('lib/mysql/connection/database.ts');
    const redis = versions * perEnvironment.redis * environmentsWith('lib/redis/connection/client.ts');
    const mappings = of('AWS::Lambda::EventSourceMapping').length;
    const rabbitmq =
      versions * perEnvironment.rabbitmq * environmentsWith('lib/rabbitmq/connection.ts') + mappings;
    const maxMysql = Number(resource('MysqlParameters').Properties.Parameters.max_connections);
    const maxRabbitmq = Number(
      /connection_max = (\d+)/.exec(resource('BrokerConfiguration').Properties.Data['Fn::Base64'])?.[1],
    );

    it('never exceed what each server takes, with two versions running', () => {
      // Some are left for an operator and for the service itself.
      expect(mysql).toBeLessThan(maxMysql - 10);
      expect(rabbitmq).toBeLessThan(maxRabbitmq - 10);
      expect(redis).toBeLessThan(limits.redisConnections);
      const { HostInstanceType } = resource('Broker').Properties;
      expect(maxRabbitmq).toBeLessThanOrEqual(limits.brokerConnections[HostInstanceType] ?? 0);
    });

    it('stand in docs/operations.md as they are here', () => {
      const row = (server: string, used: number, allowed: number) =>
        `| ${stage} | ${server} | ${used.toLocaleString('en')} | ${allowed.toLocaleString('en')} |`;
      expect(operations).toContain(row('MySQL', mysql, maxMysql));
      expect(operations).toContain(row('Redis', redis, limits.redisConnections));
      expect(operations).toContain(row('RabbitMQ', rabbitmq, maxRabbitmq));
    });
  });

  it('drops a run that a schedule could not start, since the next run makes up for it', () => {
    const rules = of('AWS::Events::Rule');
    expect(rules.length).toBeGreaterThanOrEqual(4);
    for (const [id, { Properties }] of rules) {
      for (const { RetryPolicy } of Properties.Targets)
        expect(RetryPolicy, id).toEqual({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 });
    }
    for (const key of ['SyncCounts', 'RelayOutbox', 'EraseDeleted', 'RecoverCounters', 'ReportMetrics']) {
      expect(resource(`${key}LambdaEvConf`).Properties, key).toMatchObject({
        MaximumRetryAttempts: 0,
        MaximumEventAgeInSeconds: 60,
      });
    }
  });

  it('has no way to the internet', () => {
    for (const type of ['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway', 'AWS::EC2::Route'])
      expect(of(type)).toEqual([]);
  });

  it('encrypts each server at rest and in transit', () => {
    expect(resource('Redis').Properties).toMatchObject({ TLSEnabled: true, NumShards: 1, KmsKeyId: {} });
    expect(resource('Broker').Properties).toMatchObject({
      EngineVersion: expect.stringMatching(/^4\./),
      HostInstanceType: expect.stringMatching(/^mq\.m7g\./),
    });
    // RabbitMQ brokers are encrypted with a key of Amazon MQ, which refuses another one.
    expect(resource('Broker').Properties.EncryptionOptions).toBeUndefined();
    const [[, mysql] = ['', undefined]] = [...of('AWS::RDS::DBCluster'), ...of('AWS::RDS::DBInstance')];
    expect(mysql?.Properties).toMatchObject({
      StorageEncrypted: true,
      EngineVersion: expect.stringMatching(/^8\.4/),
    });
    expect(String(resource('MysqlParameters').Properties.Parameters.require_secure_transport)).toMatch(
      /^(1|ON)$/,
    );
    expect(JSON.stringify(resource('MysqlUrl').Properties.SecretString)).toContain('?ssl=Amazon%20RDS');
    expect(JSON.stringify(resource('RedisUrl').Properties.SecretString)).toContain('rediss://');
    expect(JSON.stringify(resource('RabbitmqUrl').Properties.SecretString)).toContain('amqps://');
    expect(resource('Search').Properties).toMatchObject({
      DomainEndpointOptions: { EnforceHTTPS: true },
      EncryptionAtRestOptions: { Enabled: true },
      NodeToNodeEncryptionOptions: { Enabled: true },
    });
  });

  it('keeps the data of each store when it is removed or replaced', () => {
    const stores = ['Redis', 'Search', ...of('AWS::RDS::DBCluster').map(([id]) => id)];
    for (const id of stores) expect(resource(id).UpdateReplacePolicy, id).toMatch(/^(Retain|Snapshot)$/);
    const [[, mysql] = ['', undefined]] = [...of('AWS::RDS::DBCluster'), ...of('AWS::RDS::DBInstance')];
    expect(mysql?.DeletionPolicy).toBe('Snapshot');
    // A name that each attempt to create the stack has for itself. Search is filled again from MySQL.
    expect(resource('Redis').Properties.FinalSnapshotName).toEqual({
      'Fn::Sub': expect.stringContaining(`\${Vpc}`),
    });
    // The snapshots are encrypted with it.
    expect(resource('Key').DeletionPolicy).toBe('RetainExceptOnCreate');
    for (const [id, { DeletionPolicy }] of of('AWS::SecretsManager::Secret'))
      expect(DeletionPolicy, id).toBe(stage === 'prod' ? 'RetainExceptOnCreate' : 'Delete');
  });

  it('can be removed as a whole: each kept resource can stay without the others', () => {
    const kept = Object.entries(template.Resources).filter(([, { DeletionPolicy }]) =>
      DeletionPolicy?.startsWith('Retain'),
    );
    const independent = ['AWS::KMS::Key', 'AWS::SecretsManager::Secret'];
    for (const [id, { Type }] of kept) expect(independent, id).toContain(Type);
  });

  it('gives Redis a user of its own, which the URL names', () => {
    expect(resource('RedisAppUser').Properties.UserName).toEqual({ Ref: 'AWS::StackName' });
    expect(resource('RedisUrl').Properties.SecretString['Fn::Sub']).toMatch(
      /^rediss:\/\/\$\{AWS::StackName\}:/,
    );
  });

  it('names two zones of its region, without a look-up of default subnets', () => {
    const zones = ['SubnetA', 'SubnetB'].map((id) => {
      const { Properties } = resource(id);
      const [index, { 'Fn::Split': split }] = Properties.AvailabilityZoneId['Fn::Select'];
      return split[1].split(split[0])[index];
    });
    expect(zones).toEqual(['euw1-az1', 'euw1-az2']);
    expect(text).not.toContain('Fn::GetAZs');
  });

  it('may write its flow log', () => {
    const actions = statementsOf(resource('FlowLogRole')).flatMap(({ Action }) => Action);
    // https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    for (const action of [
      'CreateLogGroup',
      'CreateLogStream',
      'PutLogEvents',
      'DescribeLogGroups',
      'DescribeLogStreams',
    ])
      expect(actions).toContain(`logs:${action}`);
  });

  it('does not ring before the first number of a new stack, and rings when numbers stop', () => {
    for (const [id, { Properties }] of of('AWS::CloudWatch::Alarm'))
      expect(Properties.TreatMissingData, id).not.toBe('breaching');
    // A new alarm begins in the state INSUFFICIENT_DATA, and acts only when it returns to it.
    for (const id of ['OldestCommandAlarm', 'GateAlarm'])
      expect(resource(id).Properties).toMatchObject({
        TreatMissingData: 'missing',
        InsufficientDataActions: [{ Ref: 'AlarmTopic' }],
      });
  });

  it('has an alarm for each trouble, each with a section of docs/operations.md', () => {
    const alarms = of('AWS::CloudWatch::Alarm');
    const anchors = alarms.map(([id, { Properties }]) => {
      const [, anchor] = /docs\/operations\.md#([\w-]+)$/.exec(Properties.AlarmDescription) ?? [];
      expect(anchor, id).toBeDefined();
      expect(Properties.AlarmActions, id).toEqual([{ Ref: 'AlarmTopic' }]);
      return anchor;
    });
    const sections = [...operations.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(sections).toEqual(expect.arrayContaining(anchors));
    const watched = alarms.flatMap(([, { Properties }]) =>
      JSON.stringify(Properties).match(/"MetricName":"(\w+)"/g),
    );
    for (const metric of [
      '5xx',
      'Throttles',
      'Errors',
      'MostWaiting',
      'AllDeadLetters',
      'OldestCommand',
      'GateClosed',
      'IndexLag',
      'WaitingSignals',
      'FailedPosts',
      'SlowConnections',
      'DatabaseMemoryUsagePercentage',
    ])
      expect(watched).toContain(`"MetricName":"${metric}"`);
  });

  it('watches every consumer and every scheduled function', () => {
    const watched = JSON.stringify(of('AWS::CloudWatch::Alarm'));
    const kept = [
      ...of('AWS::Lambda::EventSourceMapping').map(([, { Properties }]) =>
        JSON.stringify(Properties.FunctionName),
      ),
      ...of('AWS::Events::Rule').map(([, { Properties }]) => JSON.stringify(Properties.Targets)),
    ];
    for (const reference of kept) {
      const [, id] = /"(\w+LambdaFunction)"/.exec(reference) ?? [];
      expect(watched, id).toContain(`{"Ref":"${id}"}`);
    }
  });
});
