/** `rate`: requests a second. `burst`: the requests that may come at once. */
type Throttle = { rate: number; burst: number };
type Resource = { Type: string; DependsOn?: string | string[]; Properties: Record<string, unknown> };
/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  service: {
    custom: { throttling: { default: Throttle; routes: Record<string, Throttle> } };
    provider: { compiledCloudFormationTemplate: { Resources: Record<string, Resource> } };
  };
  classes: { Error: new (message: string, code: string) => Error };
};

const settingsOf = ({ rate, burst }: Throttle) => ({
  ThrottlingRateLimit: rate,
  ThrottlingBurstLimit: burst,
  DetailedMetricsEnabled: true,
});

/**
 * Throttles the HTTP API: all routes by a default, and some by `custom.throttling.routes`. API Gateway counts a path and
 * its twin with a trailing slash separately, so both get the same settings.
 *
 * @throws Error if the template lacks a route of the settings
 */
export default class Throttling {
  readonly hooks: Record<string, () => void>;

  constructor(serverless: Serverless) {
    this.hooks = {
      'before:package:finalize': () => {
        const { provider, custom } = serverless.service;
        const { Resources } = provider.compiledCloudFormationTemplate;
        const stage = Object.values(Resources).find(({ Type }) => Type === 'AWS::ApiGatewayV2::Stage');
        if (stage === undefined) return;
        const routes = Object.entries(Resources).flatMap(([id, { Type, Properties }]) =>
          Type === 'AWS::ApiGatewayV2::Route' ? [{ id, key: String(Properties.RouteKey) }] : [],
        );
        const settings: Record<string, object> = {};
        for (const [key, throttle] of Object.entries(custom.throttling.routes)) {
          const twins = routes.filter((route) => route.key === key || route.key === `${key}/`);
          if (twins.length === 0) {
            throw new serverless.classes.Error(
              `serverless.yml: custom.throttling names "${key}", which is no route.`,
              'THROTTLE_OF_NO_ROUTE',
            );
          }
          for (const twin of twins) settings[twin.key] = settingsOf(throttle);
          // A stage refuses the settings of a route that does not exist yet.
          stage.DependsOn = [stage.DependsOn ?? [], twins.map(({ id }) => id)].flat();
        }
        stage.Properties.DefaultRouteSettings = settingsOf(custom.throttling.default);
        stage.Properties.RouteSettings = settings;
      },
    };
  }
}
