/** The parts of serverless-offline and of its HTTP server (hapi) that this plugin uses. */
import { createRequire } from 'node:module';
import type { AnsweringServer } from './request-lines.ts';

export type Problem = {
  source: string;
  code(status: number): Problem;
  type(mediaType: string): Problem;
  header(name: string, value: string): Problem;
  takeover(): Problem;
};
export type Toolkit = { continue: symbol; response(body?: string): Problem };
export type HapiRequest = {
  method: string;
  headers: Record<string, string | undefined>;
  payload: unknown;
  raw: {
    req: {
      method: string;
      url: string;
      httpVersion: string;
      headers: Record<string, string | undefined>;
      rawHeaders: string[];
    };
  };
  /** Either an answer or an error of hapi's own. */
  response: {
    isBoom?: boolean;
    output?: { statusCode: number };
    statusCode?: number;
    headers?: Record<string, string>;
  };
  setMethod(method: string): void;
  path: string;
};
type Handler = (request: HapiRequest, toolkit: Toolkit) => unknown;
export type HapiServer = {
  settings: { port: unknown; compression?: false };
  listener: import('node:http').Server;
  ext(event: 'onRequest' | 'onPreResponse', method: Handler): void;
  table(): { settings: { handler: Handler; response?: { ranges?: boolean } } }[];
  start(): Promise<void>;
};
type LambdaFunction = { setEvent(event: unknown): void; runHandler(): Promise<unknown> };
export type LambdaPool = { get(functionKey: string): LambdaFunction };
/** The same class as its Lambda API uses it. */
export type LambdaApi = {
  getByFunctionName(name: string): LambdaFunction & { setClientContext(context: unknown): void };
};

/** The class of hapi's servers that serverless-offline loads. Every server that it starts is an instance. */
export const hapiServers = (): HapiServer & AnsweringServer => {
  const { Server } = createRequire(import.meta.resolve('serverless-offline'))('@hapi/hapi');
  return Object.getPrototypeOf(new Server());
};

/** The class that finds an idle instance of a function for each call. */
export const lambdaPools = async (): Promise<LambdaPool & LambdaApi> => {
  const { default: Lambda } = await import(import.meta.resolve('serverless-offline/lambda'));
  return Lambda.prototype;
};

type SocketClient = { on(event: 'error', listener: () => void): void };
/** Holds the connections of the WebSocket API. */
export type SocketClients = { addClient(client: SocketClient, connectionId: string): void };

/** The class that holds the connections of the WebSocket API. */
export const socketClients = async (): Promise<SocketClients> => {
  const file = new URL('events/websocket/WebSocketClients.js', import.meta.resolve('serverless-offline'));
  const { default: WebSocketClients } = await import(file.href);
  return WebSocketClients.prototype;
};
