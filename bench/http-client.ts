import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Failure } from '../local/services/index.ts';

export type Sent = { method: 'GET' | 'POST'; path: string; authorization: string; body?: object };

/** One connection: `onAnswer` gets the answer to the request on it. */
type Line = { socket: Socket; received: string; onAnswer: (answer: string) => void };

const isWhole = (answer: string): boolean => {
  const end = answer.indexOf('\r\n\r\n');
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(answer) ?? [];
  return end >= 0 && length !== undefined && answer.length >= end + 4 + Number(length);
};

const textOf = (url: URL, { method, path, authorization, body }: Sent): string => {
  const content = body === undefined ? '' : JSON.stringify(body);
  const ofContent =
    body === undefined
      ? ''
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(content)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: ${authorization}\r\n${ofContent}\r\n${content}`;
};

const openLine = async (url: URL): Promise<Line> => {
  const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
  await once(socket, 'connect');
  const line: Line = { socket, received: '', onAnswer: () => undefined };
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    line.received += chunk;
    if (!isWhole(line.received)) return;
    const answer = line.received;
    line.received = '';
    line.onAnswer(answer);
  });
  return line;
};

/**
 * A client for loads, on kept connections. It takes a tenth of the processor time of Node's own client, which would
 * otherwise compete with the measured server.
 */
export const openHttpClient = async (url: URL, connections: number) => {
  const lines = await Promise.all(Array.from({ length: connections }, () => openLine(url)));
  const free = [...lines];
  return {
    /** Sends on a free connection; at most as many at once as there are. @throws Failure unless the answer is 200 */
    call: async (sent: Sent): Promise<void> => {
      const line = free.pop();
      if (line === undefined) throw new Failure(`More than ${connections} requests at once`);
      const answer = await new Promise<string>((resolve) => {
        line.onAnswer = resolve;
        line.socket.write(textOf(url, sent));
      });
      free.push(line);
      if (!answer.startsWith('HTTP/1.1 200 ')) throw new Failure(`${sent.method} ${sent.path}: ${answer}`);
    },
    close: (): void => {
      for (const { socket } of lines) socket.destroy();
    },
  };
};
