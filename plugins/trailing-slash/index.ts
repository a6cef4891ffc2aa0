import { protocolOf } from '../protocol-of.ts';

/** The parts of osls that this plugin reads and sets. */
type Resource = { Type: string; Properties?: { RouteKey?: string; [name: string]: unknown } };
type Serverless = {
  service: {
    provider: { compiledCloudFormationTemplate: { Resources: Record<string, Resource> } };
  };
};

/**
 * Accepts a trailing slash on every route in the cloud, where `/users` and `/users/` are two routes of an HTTP API. Each
 * route of the compiled template gets a twin with the same target. Local emulation already treats both as one.
 *
 * A route of a WebSocket API is no path and gets no twin. Neither does a path that ends with a slash.
 */
export default class TrailingSlash {
  readonly hooks: Record<string, () => void>;

  constructor(serverless: Serverless) {
    this.hooks = {
      'after:package:compileEvents': () => {
        const { Resources } = serverless.service.provider.compiledCloudFormationTemplate;
        for (const [name, resource] of Object.entries(Resources)) {
          const key = resource.Properties?.RouteKey;
          if (resource.Type !== 'AWS::ApiGatewayV2::Route' || key === undefined) continue;
          if (key === '$default' || key.endsWith('/') || protocolOf(Resources, resource) !== 'HTTP') continue;
          Resources[`${name}Slash`] = {
            ...resource,
            Properties: { ...resource.Properties, RouteKey: `${key}/` },
          };
        }
      },
    };
  }
}
