const PATIENCE_MS = 15_000;

type Frame = Record<string, unknown> & { type: string };

/** A connection of the WebSocket API, by a client that this project did not write: Node's. */
export type Socket = {
  /** Sends JSON, or a text or bytes as they are. */
  send: (frame: object | string | Uint8Array) => void;
  /** The next frame in the order of arrival. @throws Error if none arrives in time */
  next: (timeoutMs?: number) => Promise<Frame>;
  /** Frames that `next` has not taken. */
  frames: Frame[];
  /** Settles with the code when the connection has ended. */
  closed: Promise<number>;
  close: () => void;
};

/** @throws Error if the server refuses the connection */
export const openSocket = async (url: string, headers: Record<string, string> = {}): Promise<Socket> => {
  // Node's client takes headers, which a browser sets by itself.
  const raw: WebSocket = Reflect.construct(WebSocket, [url, { headers }]);
  const frames: Frame[] = [];
  const waiting: ((frame: Frame) => void)[] = [];
  raw.addEventListener('message', ({ data }) => {
    const frame: Frame = JSON.parse(String(data));
    const take = waiting.shift();
    if (take === undefined) frames.push(frame);
    else take(frame);
  });
  const closed = new Promise<number>((resolve) => {
    raw.addEventListener('close', ({ code }) => resolve(code));
  });
  await new Promise<void>((resolve, reject) => {
    raw.addEventListener('open', () => resolve());
    raw.addEventListener('error', () => reject(new Error('The server refused the connection')));
  });
  return {
    frames,
    closed,
    send: (frame) => {
      const isRaw = typeof frame === 'string' || frame instanceof Uint8Array;
      raw.send(isRaw ? (frame as string) : JSON.stringify(frame));
    },
    next: (timeoutMs = PATIENCE_MS) => {
      const first = frames.shift();
      if (first !== undefined) return Promise.resolve(first);
      return new Promise((resolve, reject) => {
        const take = (frame: Frame) => {
          clearTimeout(timer);
          resolve(frame);
        };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(take), 1);
          reject(new Error(`no frame within ${timeoutMs} ms`));
        }, timeoutMs);
        waiting.push(take);
      });
    },
    close: () => raw.close(),
  };
};
