import { protocolOf } from '../protocol-of.ts';

/** `rate`: requests a second. `burst`: the requests that may come at once. */
type Throttle = { rate: number; burst: number };
/** All routes of an API get the default, except those that `routes` names by their keys. */
type Throttles = { default: Throttle; routes?: Record<string, Throttle> };
type Resource = { Type: string; DependsOn?: string | string[]; Properties: Record<string, unknown> };
/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  service: {
    custom: { throttling: Throttles & { websocket?: Throttles } };
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
 * Throttles each API by its kind: the HTTP API by `custom.throttling`, a WebSocket API by
 * `custom.throttling.websocket`. Without the latter, a WebSocket API gets the default of the HTTP API.
 *
 * @throws Error if no API has a route of the settings
 */
export default class Throttling {
  readonly hooks: Record<string, () => void>;
  readonly #serverless: Serverless;

  constructor(serverless: Serverless) {
    this.#serverless = serverless;
    this.hooks = { 'before:package:finalize': () => this.#throttle() };
  }

  get #resources(): Record<string, Resource> {
    return this.#serverless.service.provider.compiledCloudFormationTemplate.Resources;
  }

  #throttle(): void {
    const { websocket, ...http } = this.#serverless.service.custom.throttling;
    for (const stage of Object.values(this.#resources)) {
      if (stage.Type !== 'AWS::ApiGatewayV2::Stage') continue;
      const kind = protocolOf(this.#resources, stage);
      if (kind === 'HTTP') this.#throttleStage(stage, http, { kind, name: 'custom.throttling' });
      else {
        const throttles = websocket ?? { default: http.default };
        this.#throttleStage(stage, throttles, { kind, name: 'custom.throttling.websocket' });
      }
    }
  }

  #throttleStage(
    stage: Resource,
    throttles: Throttles,
    { kind, name }: { kind: 'HTTP' | 'WEBSOCKET'; name: string },
  ): void {
    const routes = Object.entries(this.#resources).flatMap(([id, resource]) =>
      resource.Type === 'AWS::ApiGatewayV2::Route' && protocolOf(this.#resources, resource) === kind
        ? [{ id, key: String(resource.Properties.RouteKey) }]
        : [],
    );
    const settings: Record<string, object> = {};
    for (const [key, throttle] of Object.entries(throttles.routes ?? {})) {
      // An HTTP API counts a path and its twin with a trailing slash separately, so both get the same settings.
      const twins = routes.filter((route) => route.key === key || route.key === `${key}/`);
      if (twins.length === 0) {
        throw new this.#serverless.classes.Error(
          `serverless.yml: ${name} names "${key}", which is no route.`,
          'THROTTLE_OF_NO_ROUTE',
        );
      }
      for (const twin of twins) settings[twin.key] = settingsOf(throttle);
      // A stage refuses the settings of a route that does not exist yet.
      stage.DependsOn = [stage.DependsOn ?? [], twins.map(({ id }) => id)].flat();
    }
    stage.Properties.DefaultRouteSettings = {
      ...(stage.Properties.DefaultRouteSettings ?? {}),
      ...settingsOf(throttles.default),
    };
    stage.Properties.RouteSettings = settings;
  }
}
