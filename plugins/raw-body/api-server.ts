import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { problemOf, rawProblemOf } from './problems.ts';
import { asSent, type SentRequest, sentRequestOf } from './sent-request.ts';
import type { HapiRequest, HapiServer, LambdaPool, Problem, Toolkit } from './serverless-offline.ts';

/** No route has this method: such a request goes to the function behind `$default`, as in the cloud. */
const NO_ROUTE = 'no-route';

/** The request for which a function is about to run. */
const current = new AsyncLocalStorage<SentRequest>();

export const respondWith = (toolkit: Toolkit, status: number): Problem => {
  const { headers, body } = problemOf(status);
  const response = toolkit.response(body).code(status);
  for (const [name, value] of Object.entries(headers)) response.header(name, value);
  return response.takeover();
};

/** The time that a client has to read a last answer, before its connection is closed. */
const LINGER_MS = 1_000;

/** Connections that have had their last answer. */
const ended = new WeakSet<Duplex>();

/**
 * Sends a last answer and closes the connection, whatever the client does. Input that still arrives is read and dropped,
 * because closing with unread input would reset the connection and the client could lose the answer.
 */
const endWith = (socket: Duplex, status: number): void => {
  if (ended.has(socket)) return;
  ended.add(socket);
  socket.on('error', () => socket.destroy());
  socket.end(rawProblemOf(status));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
};

/** hapi adds a Content-Type to every answer of a function. */
const withoutContent = (toolkit: Toolkit, headers: Record<string, string>): Problem => {
  const bare = toolkit.response().code(304);
  for (const [name, value] of Object.entries(headers)) if (name !== 'content-type') bare.header(name, value);
  return bare;
};

/** Answers a request that Node could not parse. */
const answerMalformed = (error: Error & { code?: string }, socket: Socket): void => {
  const statuses: Record<string, number> = {
    HPE_HEADER_OVERFLOW: 431,
    HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
  };
  if (error.code === 'ECONNRESET') socket.destroy();
  else if (socket.writable || ended.has(socket)) endWith(socket, statuses[error.code ?? ''] ?? 400);
  else socket.destroy();
};

/** A request that has not arrived after this time is answered with 408. Node's default is five minutes. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Gives a body to errors that Node answers by itself. */
export const answerNodeErrors = ({ listener }: HapiServer, requestTimeoutMs = REQUEST_TIMEOUT_MS): void => {
  listener.removeAllListeners('clientError');
  listener.on('clientError', answerMalformed);
  listener.on('checkExpectation', (_request, response) => {
    const { headers, body } = problemOf(417);
    response.writeHead(417, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
  });
  // The API is no proxy. Without this listener, Node ends the connection without an answer.
  // Node has removed its own listeners from the socket, and its time limits no longer apply.
  listener.on('connect', (_request, socket) => {
    endWith(socket, 400);
  });
  // A request without Host is answered below.
  Object.assign(listener, {
    requireHostHeader: false,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
  });
};

/**
 * hapi builds a URL from the header, and serverless-offline fails with 500 if that is impossible. HTTP/1.0 needs none.
 */
const isHost = (host: string | undefined, httpVersion: string): boolean =>
  host === undefined
    ? httpVersion === '1.0'
    : host === '' || (/^[^/?#@\\]+$/.test(host) && URL.canParse(`http://${host}`));

/** @param headPaths the paths of the routes that accept HEAD */
export const prepareApiServer = (
  server: HapiServer,
  headPaths: ReadonlySet<string>,
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
): void => {
  answerNodeErrors(server, requestTimeoutMs);
  // An HTTP API does not compress, and one strong ETag must not name two representations.
  server.settings.compression = false;
  server.ext('onRequest', (request, toolkit) => {
    if (!isHost(request.headers.host, request.raw.req.httpVersion)) return respondWith(toolkit, 400);
    // Functions get both headers from `rawHeaders`. With Origin, serverless-offline would let every page read every
    // answer, with credentials. hapi would refuse a malformed Content-Type itself.
    delete request.headers.origin;
    delete request.headers['content-type'];
    if (request.method === 'head' && !headPaths.has(request.path.replace(/(.)\/$/, '$1')))
      request.setMethod(NO_ROUTE);
    return toolkit.continue;
  });
  server.ext('onPreResponse', ({ response }, toolkit) => {
    if (response.isBoom) return respondWith(toolkit, response.output?.statusCode ?? 500);
    return response.statusCode === 304 ? withoutContent(toolkit, response.headers ?? {}) : toolkit.continue;
  });
  for (const { settings } of server.table()) {
    const { handler } = settings;
    settings.handler = (request: HapiRequest, toolkit) =>
      current.run(sentRequestOf(request), () => handler(request, toolkit));
    // An HTTP API never sends a partial answer.
    settings.response = { ...settings.response, ranges: false };
  }
};

/** API Gateway's statuses for a function that threw and one that took too long. */
const statusOf = (error: unknown): number =>
  error instanceof Error && error.message.startsWith('[504]') ? 503 : 500;

/** Gives functions the event in the form of API Gateway, and answers for functions that fail. */
export const prepareFunctions = (
  pool: LambdaPool,
  logError: (functionKey: string, error: unknown) => void,
): void => {
  const { get } = pool;
  pool.get = function getForRequest(this: LambdaPool, functionKey) {
    const found = get.call(this, functionKey);
    const sent = current.getStore();
    if (sent === undefined) return found; // called by a schedule, a queue or the Lambda API
    return {
      setEvent: (event: APIGatewayProxyEventV2) => found.setEvent(asSent(event, sent)),
      runHandler: async () => {
        try {
          return await found.runHandler();
        } catch (error) {
          logError(functionKey, error);
          const status = statusOf(error);
          return { statusCode: status, ...problemOf(status) };
        }
      },
    };
  };
};
