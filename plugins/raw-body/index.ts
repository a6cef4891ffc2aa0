import { prepareApiServer, prepareFunctions } from './api-server.ts';
import { closeToPages, surviveBrokenFrames, surviveFailedEvents } from './other-servers.ts';
import { type AnsweringServer, noteRequests } from './request-lines.ts';
import { type HapiServer, hapiServers, lambdaPools, socketClients } from './serverless-offline.ts';

/** The part of osls that this plugin reads. */
type HttpApiEvent = string | { method?: string; path?: string };
type Serverless = {
  service: {
    custom?: Record<string, { httpPort?: number } | undefined>;
    functions: Record<string, { events?: { httpApi?: HttpApiEvent }[] }>;
  };
};
type Log = { error(message: string): void; notice(message: string): void };

const DEFAULT_HTTP_PORT = 3000;

/**
 * Makes serverless-offline as strict as API Gateway. Functions get the client's own bytes and headers. Each error of the
 * emulation is a problem document. Web pages cannot call the other ports. serverless-offline has no setting for any of
 * this, so the plugin prepares its servers right before they start.
 */
export default class RawBody {
  readonly hooks: Record<string, () => Promise<void>>;
  readonly #serverless: Serverless;
  readonly #options: { httpPort?: number | string };
  readonly #log: Log;

  constructor(serverless: Serverless, options: { httpPort?: number | string }, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#options = options;
    this.#log = log;
    this.hooks = {
      'before:offline:start': () => this.#prepare(),
      'before:offline:start:init': () => this.#prepare(),
    };
  }

  async #prepare(): Promise<void> {
    const lambdas = await lambdaPools();
    surviveFailedEvents(lambdas);
    surviveBrokenFrames(await socketClients());
    prepareFunctions(lambdas, (functionKey, error) =>
      this.#log.error(`${functionKey}: ${error instanceof Error ? error.message : String(error)}`),
    );
    const prototype = hapiServers();
    const { start } = prototype;
    const prepare = (server: HapiServer & AnsweringServer) => this.#prepareServer(server);
    prototype.start = function startPrepared(this: HapiServer & AnsweringServer) {
      prepare(this);
      return start.call(this);
    };
  }

  #prepareServer(server: HapiServer & AnsweringServer): void {
    const { custom } = this.#serverless.service;
    const httpPort = this.#options.httpPort ?? custom?.['serverless-offline']?.httpPort ?? DEFAULT_HTTP_PORT;
    if (String(server.settings.port) !== String(httpPort)) {
      closeToPages(server);
      return;
    }
    prepareApiServer(server, this.#headPaths());
    noteRequests(server, (line) => this.#log.notice(line));
  }

  /** serverless-offline ignores routes for HEAD, and sends every HEAD request to the route for GET. */
  #headPaths(): Set<string> {
    const events = Object.values(this.#serverless.service.functions).flatMap(({ events = [] }) => events);
    return new Set(
      events.flatMap(({ httpApi }) => {
        const route = typeof httpApi === 'object' ? `${httpApi.method} ${httpApi.path}` : (httpApi ?? '');
        return /^HEAD /i.test(route) ? [route.slice('HEAD '.length)] : [];
      }),
    );
  }
}
