/** The part of hapi's server that reports answers. */
export type AnsweringServer = {
  events: { on(event: 'response', listener: (request: Answered) => void): void };
};
type Answered = {
  path: string;
  raw: { req: { method: string } };
  /** In milliseconds since 1970. */
  info: { received: number; completed: number };
  /** Without a status if the client closed the connection first. */
  response: { statusCode?: number } | null;
};

/** An application's token is its key, so that no line names one. */
const withoutTokens = (path: string): string => path.replaceAll(/(?<=\/)[\w-]{24}(?=\/|$)/g, '{token}');

/** Notes one line for each answer: method, path without the query, status and time. */
export const noteRequests = ({ events }: AnsweringServer, note: (line: string) => void): void =>
  events.on('response', ({ path, raw, info, response }) => {
    const status = response?.statusCode ?? 'closed by the client';
    note(
      `${raw.req.method} ${withoutTokens(path)} ${status} ${Math.max(0, info.completed - info.received)} ms`,
    );
  });
