import { protocolOf } from '../protocol-of.ts';

type Resource = { Type: string; Metadata?: object; Properties: Record<string, unknown> };

const reason =
  'API Gateway writes the access log of a WebSocket API with a role of the whole account. Without that role, the stage could not be created.';

/**
 * Lets checkov pass a WebSocket stage without an access log. Its functions log each connection and frame themselves. The
 * stage of an HTTP API needs no role, and gets no such exception.
 */
export const explainMissingAccessLogs = (resources: Record<string, Resource>): void => {
  for (const resource of Object.values(resources)) {
    const isStage = resource.Type === 'AWS::ApiGatewayV2::Stage';
    if (!isStage || resource.Properties.AccessLogSettings || protocolOf(resources, resource) === 'HTTP')
      continue;
    resource.Metadata = { checkov: { skip: [{ id: 'CKV_AWS_95', comment: reason }] } };
  }
};
