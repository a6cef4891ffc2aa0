import { describe, expect, it } from 'vitest';
import { statementsOf } from '../support/cell.ts';
import { type Resource, readTemplate } from '../support/packages.ts';

const { Resources, Outputs } = readTemplate('dev');
const resource = (id: string): Resource => {
  const found = Resources[id];
  if (found === undefined) throw new Error(`no ${id}`);
  return found;
};
const of = (type: string) => Object.entries(Resources).filter(([, { Type }]) => Type === type);
const keysOf = (api: string) =>
  of('AWS::ApiGatewayV2::Route')
    .filter(([, { Properties }]) => Properties.ApiId.Ref === api)
    .map(([, { Properties }]) => String(Properties.RouteKey));
const roles = of('AWS::IAM::Role').filter(([, { Properties }]) =>
  JSON.stringify(Properties.AssumeRolePolicyDocument).includes('lambda.amazonaws.com'),
);
const allowed = (role: Resource, action: RegExp) =>
  statementsOf(role).filter(
    ({ Effect, Action }) => Effect === 'Allow' && [Action].flat().some((one) => action.test(one)),
  );
const arnOf = (name: string) => ({
  'Fn::Sub': `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${name}`,
});

describe('a WebSocket API beside the HTTP API', () => {
  it('has its routes once', () => {
    expect(keysOf('WebsocketsApi').sort()).toEqual(['$connect', '$default', '$disconnect']);
  });

  it('is named by the output SocketUrl', () => {
    expect(Outputs?.SocketUrl?.Value).toEqual({
      'Fn::Sub': `wss://\${WebsocketsApi}.execute-api.\${AWS::Region}.\${AWS::URLSuffix}/dev`,
    });
  });

  it('gives its answers to frames, and logs no frame', () => {
    const routes = of('AWS::ApiGatewayV2::Route').filter(
      ([, { Properties }]) => Properties.ApiId.Ref === 'WebsocketsApi',
    );
    const answering = routes.filter(([, { Properties }]) => Properties.RouteResponseSelectionExpression);
    expect(answering.map(([, { Properties }]) => Properties.RouteKey)).toEqual(['$default']);
    const settings = resource('WebsocketsDeploymentStage').Properties.DefaultRouteSettings;
    expect(settings.DataTraceEnabled ?? false).toBe(false);
  });

  it('throttles its own stage', () => {
    const { Properties } = resource('WebsocketsDeploymentStage');
    expect(Properties.ApiId).toEqual({ Ref: 'WebsocketsApi' });
    expect(Properties.DefaultRouteSettings.ThrottlingRateLimit).toBeGreaterThan(0);
    expect(Properties.DefaultRouteSettings.ThrottlingBurstLimit).toBeGreaterThan(0);
  });

  it('names the API in every permission to invoke a function', () => {
    const permissions = of('AWS::Lambda::Permission');
    expect(permissions.length).toBeGreaterThan(0);
    for (const [id, { Properties }] of permissions)
      expect(JSON.stringify(Properties.SourceArn), id).toMatch(
        /\$\{AWS::Region\}|"AWS::Region"|"Fn::GetAtt"/,
      );
    const [text, { Api: api }] = resource('ReceiveLambdaPermissionWebsockets').Properties.SourceArn[
      'Fn::Sub'
    ];
    expect(text).toMatch(/:execute-api:\$\{AWS::Region\}:\$\{AWS::AccountId\}:\$\{Api\}\/\*$/);
    expect(api).toEqual({ Ref: 'WebsocketsApi' });
  });

  it("puts the functions of its routes into the VPC, like the HTTP API's", () => {
    for (const key of ['Connect', 'Receive', 'Disconnect']) {
      const { SubnetIds, SecurityGroupIds } = resource(`${key}LambdaFunction`).Properties.VpcConfig;
      expect(SubnetIds).toEqual([{ Ref: 'SubnetA' }, { Ref: 'SubnetB' }]);
      expect(SecurityGroupIds).toContainEqual({ 'Fn::GetAtt': ['FunctionGroup', 'GroupId'] });
    }
  });
});

describe('a function that speaks to the internet', () => {
  it('is outside the VPC, without a secret', () => {
    const { Properties } = resource('PostToConnectionsLambdaFunction');
    expect(Properties.VpcConfig).toBeUndefined();
    expect(Properties.Environment?.Variables).toEqual({
      CONNECTIONS_URL: {
        'Fn::Sub': `https://\${WebsocketsApi}.execute-api.\${AWS::Region}.\${AWS::URLSuffix}/dev`,
      },
    });
    for (const action of [/^secretsmanager:/, /^kms:/, /^ec2:/, /^mq:/])
      expect(allowed(resource('PostToConnectionsRole'), action)).toEqual([]);
  });

  it('leaves every other function in the VPC', () => {
    const outside = of('AWS::Lambda::Function').filter(([, { Properties }]) => !Properties.VpcConfig);
    expect(outside.map(([id]) => id)).toEqual(['PostToConnectionsLambdaFunction']);
  });

  it('may be invoked by its callers alone', () => {
    const callers = roles.filter(([, role]) => allowed(role, /^(lambda:(Invoke|\*)|\*)/).length > 0);
    expect(callers.map(([id]) => id).sort()).toEqual(['PushEventsRole', 'ReceiveRole']);
    for (const [id, role] of callers)
      expect(allowed(role, /^lambda:/), id).toEqual([
        {
          Sid: 'InvokeFunctions',
          Effect: 'Allow',
          Action: ['lambda:InvokeFunction'],
          Resource: [arnOf('chat-dev-postToConnections')],
        },
      ]);
    const opened = JSON.stringify([
      ...of('AWS::Lambda::Permission'),
      ...of('AWS::Lambda::EventSourceMapping'),
      ...of('AWS::Events::Rule'),
      ...of('AWS::Lambda::Url'),
    ]);
    expect(opened).not.toContain('PostToConnections');
  });

  it('alone may use connections, and only those of this API and stage', () => {
    expect(Object.keys(Resources)).not.toContain('IamRoleLambdaExecution');
    const posting = of('AWS::IAM::Role').filter(([, { Properties }]) =>
      /execute-api:/.test(JSON.stringify(Properties.Policies ?? [])),
    );
    expect(posting.map(([id]) => id)).toEqual(['PostToConnectionsRole']);
    expect(allowed(resource('PostToConnectionsRole'), /^execute-api:/)).toMatchObject([
      {
        Action: ['execute-api:ManageConnections'],
        Resource: {
          'Fn::Sub': `arn:\${AWS::Partition}:execute-api:\${AWS::Region}:\${AWS::AccountId}:\${WebsocketsApi}/dev/*/@connections/*`,
        },
      },
    ]);
  });
});
