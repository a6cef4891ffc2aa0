/** The parts of osls that this plugin reads and sets. */
type Event = { schedule?: string | { rate: string[] } };
type Serverless = {
  service: {
    provider: { environment?: Record<string, string> };
    custom: Record<string, unknown>;
    functions: Record<string, { events?: Event[] }>;
  };
};

/** The names that `npm start`, the tests and `sls invoke local` may set. */
const isSetting = (name: string) =>
  /^(MYSQL|REDIS|RABBITMQ|OPENSEARCH)_URL$|^(JWT_SECRET|REDIS_KEY_PREFIX|OPENSEARCH_INDEX_PREFIX|MAX_DEFERRALS|CORS_ORIGINS|PING_SECONDS|CONNECTIONS_URL|LAMBDA_URL|LIMIT_\w+|POWERTOOLS_\w+)$/.test(
    name,
  );

/**
 * Gives locally emulated functions the settings of the emulating process. serverless.yml never reads its environment, so
 * no setting can reach a template. This plugin adds the settings only for commands that deploy nothing.
 */
export default class LocalEnvironment {
  readonly hooks: Record<string, () => void>;

  constructor(serverless: Serverless) {
    const addEnvironment = () => {
      const { provider, custom, functions } = serverless.service;
      const given = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
        isSetting(name) && value !== undefined ? [[name, value]] : [],
      );
      provider.environment = { ...provider.environment, ...Object.fromEntries(given) };
      custom['serverless-offline-rabbitmq'] = { url: process.env.RABBITMQ_URL ?? '' };
      const rate = process.env.SYNC_COUNTS_RATE;
      for (const { schedule } of functions.syncCounts?.events ?? []) {
        if (rate && typeof schedule === 'object') schedule.rate = [rate];
      }
    };
    this.hooks = {
      'before:offline:start': addEnvironment,
      'before:offline:start:init': addEnvironment,
      'before:invoke:local:loadEnvVars': addEnvironment,
    };
  }
}
