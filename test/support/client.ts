import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';

export interface Reply<Body = unknown> {
  status: number;
  headers: Headers;
  /** The body of the answer, unchanged. */
  text: string;
  /** The parsed body, if it is JSON. The caller chooses the type, and the test must check it. */
  body: Body;
}

/** A problem document (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  errors?: { path: string; message: string }[];
}

export interface Listed {
  messageNumber: number;
  sender?: string;
  senderName: string;
  body: string;
  createdAt: string;
  editedAt?: string;
  changeNumber: number;
}

type Call = {
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
};

const isJson = (headers: Headers) => /\bjson\b/.test(headers.get('content-type') ?? '');

/**
 * Sends one request on a new connection, because a kept one may be closing, and the request must not be repeated.
 * (`fetch` of Node 24 fails for a large answer on a connection that closes after it.)
 */
const exchange = (
  url: string,
  options: { method: string; headers: Record<string, string> },
  body: string | Uint8Array | undefined,
): Promise<{ status: number; headers: Headers; text: string }> =>
  new Promise((resolve, reject) => {
    const sent = request(
      url,
      { ...options, agent: false, signal: AbortSignal.timeout(30_000) },
      (response) => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(response.headers)) {
          if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
        }
        textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, headers, text }), reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });

/** Calls the API, as the holder of an access token where one is given. */
export class Client {
  readonly baseUrl: string;
  readonly accessToken: string | undefined;

  constructor(baseUrl: string, accessToken?: string) {
    this.baseUrl = baseUrl;
    this.accessToken = accessToken;
  }

  async call<Body>(method: string, path: string, { body, raw, headers }: Call = {}): Promise<Reply<Body>> {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await exchange(
      this.baseUrl + path,
      {
        method,
        headers: {
          ...(this.accessToken === undefined ? {} : { authorization: `Bearer ${this.accessToken}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      sent,
    );
    const { text } = response;
    const parsed: Body = isJson(response.headers) && text !== '' ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  get<Body>(path: string, headers: Record<string, string> = {}): Promise<Reply<Body>> {
    return this.call('GET', path, { headers });
  }

  post<Body>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply<Body>> {
    return this.call('POST', path, { body, headers });
  }

  put<Body>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply<Body>> {
    return this.call('PUT', path, { body, headers });
  }

  delete<Body>(path: string, headers: Record<string, string> = {}): Promise<Reply<Body>> {
    return this.call('DELETE', path, { headers });
  }
}

export class UnexpectedReply extends Error {
  constructor(what: string, { status, text }: Reply) {
    super(`${what} answered ${status}: ${text}`);
    this.name = 'UnexpectedReply';
  }
}

/** The body of an answer that has to be a 200. @throws UnexpectedReply */
const taken = <Body>(what: string, reply: Reply<Body>): Body => {
  if (reply.status !== 200) throw new UnexpectedReply(what, reply);
  return reply.body;
};

export interface Account {
  name: string;
  email: string;
  password: string;
}

export const basic = ({ email, password }: Pick<Account, 'email' | 'password'>) => ({
  authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`,
});

/** @returns an access token */
export const signIn = async (baseUrl: string, account: Account): Promise<string> => {
  const reply = await new Client(baseUrl).post<{ accessToken: string }>(
    '/users/token',
    undefined,
    basic(account),
  );
  return taken('POST /users/token', reply).accessToken;
};

/**
 * A new user, signed in. Slow by design: half a second of the server's processor for each of the two steps.
 * @param name what others see as `senderName`
 */
export const signUp = async (
  baseUrl: string,
  name = 'Ada',
): Promise<{ client: Client; account: Account }> => {
  const account = { name, email: `${randomUUID()}@example.org`, password: `password of ${name}` };
  taken('POST /users', await new Client(baseUrl).post('/users', account));
  return { client: new Client(baseUrl, await signIn(baseUrl, account)), account };
};

/** @returns the token of a new application */
export const createApplication = async (client: Client, name = 'An application'): Promise<string> =>
  taken('POST /applications', await client.post<{ token: string }>('/applications', { name })).token;

/** @returns the number of a new chat */
export const createChat = async (client: Client, token: string, title?: string): Promise<number> => {
  const path = `/applications/${token}/chats`;
  const body = title === undefined ? undefined : { title };
  return taken(`POST ${path}`, await client.post<{ chatNumber: number }>(path, body)).chatNumber;
};

/** The path of a chat's messages. */
export const messagesPath = (token: string, chatNumber: number) =>
  `/applications/${token}/chats/${chatNumber}/messages`;

/** @returns the number of a new message */
export const createMessage = async (
  client: Client,
  token: string,
  chatNumber: number,
  body: string,
  createdAt?: string,
): Promise<number> => {
  const path = messagesPath(token, chatNumber);
  const message = { body, ...(createdAt === undefined ? {} : { createdAt }) };
  return taken(`POST ${path}`, await client.post<{ messageNumber: number }>(path, message)).messageNumber;
};

/** The next page of a list, from its `Link` header (RFC 8288); undefined on the last page. */
export const nextPath = ({ headers }: Reply): string | undefined =>
  /<([^>]+)>;\s*rel="next"/.exec(headers.get('link') ?? '')?.[1];

/** The page that leads back from a page, from the same header. */
export const prevPath = ({ headers }: Reply): string | undefined =>
  /<([^>]+)>;\s*rel="prev"/.exec(headers.get('link') ?? '')?.[1];

/** All items of a list, by its links. `pages`: the number of answers. */
export const readAll = async <Item>(
  client: Client,
  path: string,
): Promise<{ items: Item[]; pages: number }> => {
  const items: Item[] = [];
  let pages = 0;
  for (let next: string | undefined = path; next !== undefined; ) {
    const reply: Reply<Item[]> = await client.get<Item[]>(next);
    items.push(...taken(`GET ${next}`, reply));
    pages += 1;
    next = nextPath(reply);
  }
  return { items, pages };
};
