/** The parts of the framework's objects that this plugin uses. */

/** A function of `serverless.yml`. */
export type FunctionDefinition = {
  handler: string;
  events?: unknown;
  runtime?: string;
  /** In seconds. */
  timeout?: number;
  environment?: Record<string, unknown>;
  package?: { artifact?: string };
};

export type Serverless = {
  config: { servicePath: string };
  service: {
    service?: string;
    custom?: Record<string, unknown>;
    provider: { region?: string; runtime?: string; timeout?: number };
    package?: { artifact?: string };
    getAllFunctions(): string[];
    getFunction(key: string): FunctionDefinition;
  };
  pluginManager: { plugins: object[] };
  /** `Error` is shown without a stack trace. */
  classes: { Error: new (message: string, code: string) => Error };
};

/** serverless-offline's plugin. */
export type ServerlessOffline = { end(skipExit?: boolean): Promise<void> };

export const isServerlessOffline = (plugin: object): plugin is ServerlessOffline =>
  plugin.constructor.name === 'ServerlessOffline' && 'end' in plugin;
