/** What this reads and sets of osls. */
type Serverless = {
  processedInput: { commands: string[] };
  service: { functions: Record<string, { events?: { httpApi?: unknown }[] }> };
};

/**
 * Accepts a trailing slash on every route in the cloud, where an HTTP API takes `/users` and `/users/` for two routes.
 * Local emulation takes them for one by itself, and would refuse the second.
 */
export default class TrailingSlash {
  readonly hooks: { initialize?: () => void };

  constructor(serverless: Serverless) {
    const [command] = serverless.processedInput.commands;
    this.hooks =
      command === 'package' || command === 'deploy' ? { initialize: () => addRoutes(serverless) } : {};
  }
}

const addRoutes = ({ service }: Serverless): void => {
  for (const definition of Object.values(service.functions)) {
    const routes = (definition.events ?? []).flatMap(({ httpApi }) =>
      typeof httpApi === 'string' && httpApi !== '*' ? [{ httpApi: `${httpApi}/` }] : [],
    );
    definition.events?.push(...routes);
  }
};
