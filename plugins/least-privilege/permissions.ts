import type { Resource } from './role.ts';

/**
 * Names the API in each permission by which API Gateway invokes a function. osls leaves it out for a WebSocket API, and
 * then the API of any account could invoke the function.
 *
 * @returns logical ids of the permissions that still have no source
 */
export const addSources = (resources: Record<string, Resource>): string[] =>
  Object.entries(resources).flatMap(([id, { Type, DependsOn, Properties }]) => {
    if (Type !== 'AWS::Lambda::Permission' || Properties.SourceArn !== undefined) return [];
    const api = [DependsOn ?? []].flat().find((other) => resources[other]?.Type === 'AWS::ApiGatewayV2::Api');
    if (Properties.Principal !== 'apigateway.amazonaws.com' || api === undefined) return [id];
    const text = `arn:\${AWS::Partition}:execute-api:\${AWS::Region}:\${AWS::AccountId}:\${Api}/*`;
    Properties.SourceArn = { 'Fn::Sub': [text, { Api: { Ref: api } }] };
    return [];
  });
