export type Resource = {
  Type: string;
  DependsOn?: string | string[];
  Metadata?: object;
  Properties: Record<string, unknown>;
};
type Statement = {
  Sid: string;
  Effect: 'Allow' | 'Deny';
  Action: string[];
  Resource: unknown;
  Condition?: object;
};
/** Everything that a function may do besides writing its log. */
export type Rights = {
  /** Key and full name of the function. */
  key: string;
  name: string;
  /** Whether the function has network interfaces in the VPC. */
  isInVpc: boolean;
  /** Logical ids of the secrets that it reads. */
  secrets: string[];
  isConsumer: boolean;
  /** Full names of the functions that it invokes. */
  invokes: string[];
  /** The stage of the WebSocket API to whose connections it posts. */
  postsToStage: string | undefined;
};

export const getAtt = (resource: string, attribute: string) => ({ 'Fn::GetAtt': [resource, attribute] });
export const capitalized = (key: string) => `${key.charAt(0).toUpperCase()}${key.slice(1)}`;

/** Lambda creates network interfaces with the function's role. These actions cannot name a resource. */
const interfaceActions = [
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeVpcs',
];

/** By name: a reference would close a circle where two functions invoke each other. */
const functionArn = (name: string) => ({
  'Fn::Sub': `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${name}`,
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
    Condition: { ArnEquals: { 'lambda:SourceFunctionArn': [functionArn(name)] } },
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

const invokeFunctions = (names: string[]): Statement => ({
  Sid: 'InvokeFunctions',
  Effect: 'Allow',
  Action: ['lambda:InvokeFunction'],
  Resource: names.map(functionArn),
});

const postToConnections = (stage: string): Statement => ({
  Sid: 'PostToConnections',
  Effect: 'Allow',
  Action: ['execute-api:ManageConnections'],
  Resource: {
    'Fn::Sub': `arn:\${AWS::Partition}:execute-api:\${AWS::Region}:\${AWS::AccountId}:\${WebsocketsApi}/${stage}/*/@connections/*`,
  },
});

/** @returns the role of one function, which allows nothing else */
export const roleFor = (rights: Rights): Resource => {
  const { key, name, isInVpc, isConsumer, invokes, postsToStage } = rights;
  const readable = [...rights.secrets, ...(isConsumer ? ['RabbitmqUser'] : [])];
  const statements: Statement[] = [
    writeLog(key),
    ...(isInVpc ? joinNetwork(name) : []),
    ...(readable.length > 0 ? readSecrets(readable) : []),
    ...(isConsumer ? [findBroker] : []),
    ...(invokes.length > 0 ? [invokeFunctions(invokes)] : []),
    ...(postsToStage === undefined ? [] : [postToConnections(postsToStage)]),
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
