import { expect, it } from 'vitest';
import { templateFindings } from '../support/findings/index.ts';
import { type Resource, readTemplate, type Template } from '../support/packages.ts';

const templates = () => ({ 'chat-dev': readTemplate('dev'), 'chat-prod': readTemplate('prod') });

const get = ({ Resources }: Template, id: string): Resource => {
  const found = Resources[id];
  if (found === undefined) throw new Error(`no ${id}`);
  return found;
};
const drop = (template: Template, id: string): void => {
  get(template, id);
  delete template.Resources[id];
};
const mentions = (value: unknown, id: string): boolean => JSON.stringify(value).includes(`"${id}"`);

it('finds nothing in either stage', () => {
  expect(templateFindings(templates())).toEqual([]);
});

type Fault = [name: string, plant: (dev: Template, prod: Template) => void, finding: RegExp];

const faults: Fault[] = [
  [
    'a role without its secret',
    (dev) => {
      const { Statement } = get(dev, 'CreateChatRole').Properties.Policies[0].PolicyDocument;
      const reads = Statement.find(({ Sid }: { Sid: string }) => Sid === 'ReadSecrets');
      reads.Resource = reads.Resource.filter((secret: unknown) => !mentions(secret, 'RedisUrl'));
    },
    /^chat-dev: CreateChatLambdaFunction has SECRET_ARN_REDIS_URL, and its role may not read RedisUrl$/,
  ],
  [
    'a role that may read nothing',
    (_dev, prod) => {
      const { PolicyDocument } = get(prod, 'PersistChatRole').Properties.Policies[0];
      PolicyDocument.Statement = PolicyDocument.Statement.filter(
        ({ Sid }: { Sid: string }) => Sid !== 'ReadSecrets',
      );
    },
    /^chat-prod: PersistChatLambdaFunction has SECRET_ARN_MYSQL_URL, and its role may not read MysqlUrl$/,
  ],
  [
    'the name of a user that both stages give',
    (dev, prod) => {
      for (const template of [dev, prod]) get(template, 'RedisAppUser').Properties.UserName = 'chat';
    },
    /^RedisAppUser has the UserName "chat" in chat-dev and in chat-prod$/,
  ],
  [
    'a name of the account and region alone',
    (dev, prod) => {
      for (const template of [dev, prod])
        get(template, 'Dashboard').Properties.DashboardName = {
          'Fn::Sub': `chat-\${AWS::Region}-\${AWS::AccountId}`,
        };
    },
    /^Dashboard has the DashboardName .* in chat-dev and in chat-prod$/,
  ],
  [
    'the identifier of a database that both stages give',
    (dev, prod) => {
      for (const [template, id] of [
        [dev, 'MysqlInstance'],
        [prod, 'MysqlWriter'],
      ] as const)
        get(template, id).Properties.DBInstanceIdentifier = 'chat';
    },
    /^MysqlWriter has the DBInstanceIdentifier "chat" in chat-dev and in chat-prod$/,
  ],
  [
    'a function with a name of its own choice',
    (dev, prod) => {
      for (const template of [dev, prod])
        get(template, 'MigrateLambdaFunction').Properties.FunctionName = 'chat-migrate';
    },
    /^MigrateLambdaFunction has the FunctionName "chat-migrate" in chat-dev and in chat-prod$/,
  ],
  [
    'an export that both stages have',
    (dev, prod) => {
      for (const template of [dev, prod])
        template.Outputs = { Address: { Export: { Name: 'chat-address' } } };
    },
    /^Address has the export Name "chat-address" in chat-dev and in chat-prod$/,
  ],
  [
    'a resource that stays after a rollback',
    (_dev, prod) => {
      get(prod, 'Redis').DeletionPolicy = 'Retain';
    },
    /^chat-prod: Redis stays after a rollback: its DeletionPolicy is Retain$/,
  ],
  [
    'deletion protection from the beginning',
    (_dev, prod) => {
      get(prod, 'MysqlCluster').Properties.DeletionProtection = true;
    },
    /^chat-prod: MysqlCluster stays after a rollback: DeletionProtection is set when it is created$/,
  ],
  [
    "a function outside its server's group",
    (dev) => {
      const { VpcConfig } = get(dev, 'ListMessagesLambdaFunction').Properties;
      VpcConfig.SecurityGroupIds = VpcConfig.SecurityGroupIds.filter(
        (group: unknown) => !mentions(group, 'MysqlClients'),
      );
    },
    /^chat-dev: ListMessagesLambdaFunction does not reach MysqlInstance on port 3306$/,
  ],
  [
    'a function outside the group that reads secrets',
    (_dev, prod) => {
      const { VpcConfig } = get(prod, 'GetChatLambdaFunction').Properties;
      VpcConfig.SecurityGroupIds = VpcConfig.SecurityGroupIds.filter(
        (group: unknown) => !mentions(group, 'FunctionGroup'),
      );
    },
    /^chat-prod: GetChatLambdaFunction does not reach the Secrets Manager endpoint$/,
  ],
  [
    'a function with a secret outside the network',
    (dev) => {
      delete get(dev, 'ListChatsLambdaFunction').Properties.VpcConfig;
    },
    /^chat-dev: ListChatsLambdaFunction does not reach the Secrets Manager endpoint$/,
  ],
  [
    'an endpoint that refuses the function of the custom resource',
    (dev) => drop(dev, 'EndpointFromDeploy'),
    /^chat-dev: MigrateLambdaFunction does not reach the Secrets Manager endpoint$/,
  ],
  [
    'a server that admits nobody',
    (dev) => drop(dev, 'SearchFromClients'),
    /^chat-dev: SearchMessagesLambdaFunction does not reach Search on port 443$/,
  ],
  [
    'a group that lets nothing out',
    (_dev, prod) => drop(prod, 'ClientsToRedis'),
    /^chat-prod: CreateMessageLambdaFunction does not reach Redis on port 6379$/,
  ],
  [
    'a rule for another port',
    (dev) => {
      get(dev, 'BrokerFromClients').Properties.FromPort = 5672;
      get(dev, 'BrokerFromClients').Properties.ToPort = 5672;
    },
    /^chat-dev: RelayOutboxLambdaFunction does not reach Broker on port 5671$/,
  ],
  [
    'a custom resource without a way to S3',
    (dev) => drop(dev, 'SubnetBRoutes'),
    /^chat-dev: MigrateLambdaFunction does not reach S3$/,
  ],
  [
    'a custom resource that runs before a rule exists',
    (dev) => {
      const migration = get(dev, 'Migration');
      migration.DependsOn = [migration.DependsOn ?? []].flat().filter((id) => id !== 'EndpointFromDeploy');
    },
    /^chat-dev: MigrateLambdaFunction runs as a custom resource, which does not wait for EndpointFromDeploy$/,
  ],
  [
    'a throttle of an unknown route',
    (dev) => {
      get(dev, 'HttpApiStage').Properties.RouteSettings['POST /user'] = { ThrottlingRateLimit: 5 };
    },
    /^chat-dev: HttpApiStage throttles "POST \/user", which is no route of its API$/,
  ],
  [
    "a throttle of another API's route",
    (_dev, prod) => {
      const route = Object.values(prod.Resources).find(
        ({ Type, Properties }) =>
          Type === 'AWS::ApiGatewayV2::Route' && Properties.RouteKey === 'GET /health',
      );
      if (route !== undefined) route.Properties.ApiId = { Ref: 'WebsocketsApi' };
    },
    /^chat-prod: HttpApiStage throttles "GET \/health", which is no route of its API$/,
  ],
];

it.each(faults)('finds %s', (_name, plant, finding) => {
  const planted = templates();
  plant(planted['chat-dev'], planted['chat-prod']);
  expect(templateFindings(planted)).toEqual(expect.arrayContaining([expect.stringMatching(finding)]));
});
