import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The permissions of a function whose bundle contains a module; see `custom.grants` in serverless.yml. */
type Grant = {
  /** Logical ids of secrets, by the settings that they hold. */
  secrets?: Record<string, string>;
  environment?: Record<string, string | number>;
  securityGroups?: string[];
};
type Event = { rabbitmq?: object };
type FunctionObject = {
  name: string;
  handler: string;
  role?: string;
  environment?: Record<string, unknown>;
  events?: Event[];
  vpc?: { securityGroupIds: object[]; subnetIds: object[] };
};
type Resource = { Type: string; Properties: Record<string, unknown> };
/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  serviceDir: string;
  service: {
    functions: Record<string, FunctionObject>;
    custom: { grants: Record<string, Grant>; securityGroups?: Record<string, string[]> };
    provider: { compiledCloudFormationTemplate: { Resources: Record<string, Resource> } };
  };
  classes: { Error: new (message: string, code: string) => Error };
};
type Statement = {
  Sid: string;
  Effect: 'Allow' | 'Deny';
  Action: string[];
  Resource: unknown;
  Condition?: object;
};

const getAtt = (resource: string, attribute: string) => ({ 'Fn::GetAtt': [resource, attribute] });
const capitalized = (key: string) => `${key.charAt(0).toUpperCase()}${key.slice(1)}`;
const roleOf = (key: string) => `${capitalized(key)}Role`;

/** Lambda creates network interfaces with the function's role. These actions cannot name a resource. */
const interfaceActions = [
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeVpcs',
];

/**
 * Gives each function its own role, environment and security groups. They contain the grants of the modules in its
 * bundle, and nothing else.
 *
 * @throws Error if no bundle contains the module of a grant. After a move, its functions would lose their permissions.
 */
export default class LeastPrivilege {
  readonly hooks: Record<string, () => void>;
  readonly #serverless: Serverless;

  constructor(serverless: Serverless) {
    this.#serverless = serverless;
    this.hooks = {
      // osls creates one role for all functions unless each names its own. The roles are created once the bundles exist.
      'before:package:setupProviderConfiguration': () => {
        for (const [key, definition] of this.#functions) definition.role = roleOf(key);
      },
      'before:package:compileFunctions': () => this.#grant(),
    };
  }

  get #functions() {
    return Object.entries(this.#serverless.service.functions);
  }

  #grant(): void {
    const { serviceDir, service } = this.#serverless;
    const contents: Record<string, string[]> = JSON.parse(
      readFileSync(join(serviceDir, 'dist/package/contents.json'), 'utf8'),
    );
    const { grants, securityGroups = {} } = service.custom;
    const unused = Object.keys(grants).filter((module) =>
      Object.values(contents).every((modules) => !modules.includes(module)),
    );
    if (unused.length > 0) {
      throw new this.#serverless.classes.Error(
        `serverless.yml: custom.grants names modules that no function holds: ${unused.join(', ')}. Correct their paths.`,
        'GRANT_OF_NO_MODULE',
      );
    }
    const { Resources } = service.provider.compiledCloudFormationTemplate;
    for (const [key, definition] of this.#functions) {
      const modules = contents[definition.handler.replace(/\.handler$/, '.mjs')] ?? [];
      const granted = modules.flatMap((module) => grants[module] ?? []);
      const secrets = Object.assign({}, ...granted.map((grant) => grant.secrets ?? {})) as Record<
        string,
        string
      >;
      definition.environment = environmentOf(granted, secrets);
      definition.vpc = {
        subnetIds: [{ Ref: 'SubnetA' }, { Ref: 'SubnetB' }],
        securityGroupIds: [
          ...(securityGroups[key] ?? ['FunctionGroup']),
          ...new Set(granted.flatMap((grant) => grant.securityGroups ?? [])),
        ].map((group) => getAtt(group, 'GroupId')),
      };
      Resources[roleOf(key)] = roleFor(key, definition, Object.values(secrets));
    }
  }
}

const environmentOf = (granted: Grant[], secrets: Record<string, string>): Record<string, unknown> => ({
  ...Object.fromEntries(
    granted.flatMap(({ environment = {} }) =>
      Object.entries(environment).map(([name, value]) => [name, String(value)]),
    ),
  ),
  ...Object.fromEntries(Object.entries(secrets).map(([name, id]) => [`SECRET_ARN_${name}`, { Ref: id }])),
});

const writeLog = (key: string): Statement => ({
  Sid: 'WriteLog',
  Effect: 'Allow',
  Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: getAtt(`${capitalized(key)}LogGroup`, 'Arn'),
});

/**
 * Lambda needs the actions, and the function's code does not.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice-security
 */
const joinNetwork = (name: string): Statement[] => [
  { Sid: 'JoinNetwork', Effect: 'Allow', Action: interfaceActions, Resource: '*' },
  {
    Sid: 'NotFromCode',
    Effect: 'Deny',
    Action: interfaceActions,
    Resource: '*',
    Condition: {
      ArnEquals: {
        'lambda:SourceFunctionArn': [
          { 'Fn::Sub': `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${name}` },
        ],
      },
    },
  },
];

const readSecrets = (ids: string[]): Statement[] => [
  {
    Sid: 'ReadSecrets',
    Effect: 'Allow',
    Action: ['secretsmanager:GetSecretValue'],
    Resource: ids.map((id) => ({ Ref: id })),
  },
  {
    Sid: 'DecryptSecrets',
    Effect: 'Allow',
    Action: ['kms:Decrypt'],
    Resource: getAtt('Key', 'Arn'),
    Condition: {
      StringEquals: { 'kms:ViaService': { 'Fn::Sub': `secretsmanager.\${AWS::Region}.amazonaws.com` } },
    },
  },
];

const findBroker: Statement = {
  Sid: 'FindBroker',
  Effect: 'Allow',
  Action: ['mq:DescribeBroker'],
  Resource: getAtt('Broker', 'Arn'),
};

const roleFor = (key: string, { name, events = [] }: FunctionObject, secrets: string[]): Resource => {
  const isConsumer = events.some(({ rabbitmq }) => rabbitmq !== undefined);
  const readable = [...secrets, ...(isConsumer ? ['RabbitmqUser'] : [])];
  const statements: Statement[] = [
    writeLog(key),
    ...joinNetwork(name),
    ...(readable.length > 0 ? readSecrets(readable) : []),
    ...(isConsumer ? [findBroker] : []),
  ];
  return {
    Type: 'AWS::IAM::Role',
    Properties: {
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
        ],
      },
      Policies: [
        {
          PolicyName: 'function',
          PolicyDocument: { Version: '2012-10-17', Statement: statements },
        },
      ],
    },
  };
};
