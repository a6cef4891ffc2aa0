import { answerNodeErrors, respondWith } from './api-server.ts';
import type { HapiRequest, HapiServer, LambdaApi, SocketClients } from './serverless-offline.ts';

const isLocal = (host: string): boolean => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host);

/** Browsers send one of these headers with every request of a page that may change data. */
const isOfPage = ({ headers }: HapiRequest): boolean =>
  headers.origin !== undefined || headers['sec-fetch-site'] !== undefined || headers.referer !== undefined;

/**
 * Closes a port to web pages, because it runs any function with any event. Local programs can still use it. A foreign
 * `Host` belongs to a page whose name was pointed to this machine (DNS rebinding).
 */
export const closeToPages = (server: HapiServer): void => {
  answerNodeErrors(server);
  server.ext('onRequest', (request, toolkit) =>
    isOfPage(request) || !isLocal(request.headers.host ?? '') ? respondWith(toolkit, 403) : toolkit.continue,
  );
};

/**
 * Lets the emulation survive a function that fails after it was invoked as `Event`. serverless-offline logs the error,
 * but nobody awaits the run, and an unhandled rejection ends the process.
 */
export const surviveFailedEvents = (api: LambdaApi): void => {
  const { getByFunctionName } = api;
  api.getByFunctionName = function getSurviving(this: LambdaApi, name) {
    const found = getByFunctionName.call(this, name);
    return {
      setClientContext: (context) => found.setClientContext(context),
      setEvent: (event) => found.setEvent(event),
      runHandler: () => {
        const run = found.runHandler();
        run.catch(() => undefined);
        return run;
      },
    };
  };
};

/**
 * Lets the emulation survive a client that breaks the WebSocket protocol, for example by text that is not UTF-8. The connection
 * ends with an `error` event, to which serverless-offline does not listen, and that would end the process.
 */
export const surviveBrokenFrames = (clients: SocketClients): void => {
  const { addClient } = clients;
  clients.addClient = function addSurviving(this: SocketClients, client, connectionId) {
    client.on('error', () => undefined);
    addClient.call(this, client, connectionId);
  };
};
