import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { type Stack, silentReport, startServices } from '../../local/services/index.ts';
import { apiEvent } from '../support/http-event.ts';
import { type ServerVariable, type Swallowing, swallowing } from '../support/swallowing.ts';

/* HTTP functions in one environment, behind a network that loses their connections without a word. */

type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
type Call = {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path?: () => Record<string, string>;
  query?: Record<string, string>;
  body?: () => object;
  authorization?: () => string;
};

const checkout = resolve(import.meta.dirname, '../..');
const password = 'a password that nobody guesses';
let stack: Stack;
let network: Swallowing;
let email: string;
let accessToken = '';
let token = '';
/** Users, access tokens, applications and chats that end with their one use. */
const spareUsers: string[] = [];
const spareTokens: string[] = [];
const spareApplications: string[] = [];
const spareChats: string[] = [];
const basicOf = (user: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
let chatNumber = '';

const call = async (handler: Handler, { method = 'GET', path, query, body, authorization }: Call) => {
  const event = apiEvent(
    { method, path: '/' },
    {
      headers: {
        authorization: authorization?.() ?? `Bearer ${accessToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(path === undefined ? {} : { pathParameters: path() }),
      ...(query === undefined ? {} : { queryStringParameters: query }),
      ...(body === undefined ? {} : { body: JSON.stringify(body()) }),
    },
  );
  const { statusCode, body: answer } = await handler(event, createLambdaContext('vanished', 10_000));
  return { statusCode, answer: JSON.parse(answer ?? 'null') };
};

const folder = '../../functions/http';
const functions: Record<string, { load: () => Promise<{ handler: unknown }>; call: Call }> = {
  signUp: {
    load: () => import(`${folder}/users/sign-up.ts`),
    call: {
      method: 'POST',
      authorization: () => '',
      body: () => ({ name: 'Ada', email: `${randomUUID()}@example.org`, password }),
    },
  },
  createToken: {
    load: () => import(`${folder}/users/create-token.ts`),
    call: {
      method: 'POST',
      authorization: () => basicOf(email),
    },
  },
  changePassword: {
    load: () => import(`${folder}/users/change-password.ts`),
    call: {
      method: 'PUT',
      authorization: () => basicOf(spareUsers.pop() ?? ''),
      body: () => ({ password: `another ${password}` }),
    },
  },
  eraseUser: {
    load: () => import(`${folder}/users/erase-user.ts`),
    call: { method: 'DELETE', authorization: () => basicOf(spareUsers.pop() ?? '') },
  },
  signOut: {
    load: () => import(`${folder}/users/sign-out.ts`),
    call: { method: 'DELETE', authorization: () => `Bearer ${spareTokens.pop()}` },
  },
  getUser: { load: () => import(`${folder}/users/get-user.ts`), call: {} },
  createApplication: {
    load: () => import(`${folder}/applications/create-application.ts`),
    call: { method: 'POST', body: () => ({ name: 'app' }) },
  },
  updateApplication: {
    load: () => import(`${folder}/applications/update-application.ts`),
    call: { method: 'PUT', path: () => ({ token }), body: () => ({ name: 'renamed' }) },
  },
  listApplications: {
    load: () => import(`${folder}/applications/list-applications.ts`),
    call: {},
  },
  getApplication: {
    load: () => import(`${folder}/applications/get-application.ts`),
    call: { path: () => ({ token }) },
  },
  createChat: {
    load: () => import(`${folder}/chats/create-chat.ts`),
    call: { method: 'POST', path: () => ({ token }), body: () => ({ title: 'title' }) },
  },
  updateChat: {
    load: () => import(`${folder}/chats/update-chat.ts`),
    call: { method: 'PUT', path: () => ({ token, chatNumber }), body: () => ({ title: 'renamed' }) },
  },
  deleteChat: {
    load: () => import(`${folder}/chats/delete-chat.ts`),
    call: { method: 'DELETE', path: () => ({ token, chatNumber: spareChats.pop() ?? '' }) },
  },
  deleteApplication: {
    load: () => import(`${folder}/applications/delete-application.ts`),
    call: { method: 'DELETE', path: () => ({ token: spareApplications.pop() ?? '' }) },
  },
  listChanges: { load: () => import(`${folder}/changes/list-changes.ts`), call: { path: () => ({ token }) } },
  listChatChanges: {
    load: () => import(`${folder}/changes/list-chat-changes.ts`),
    call: { path: () => ({ token, chatNumber }) },
  },
  listChats: { load: () => import(`${folder}/chats/list-chats.ts`), call: { path: () => ({ token }) } },
  getChat: {
    load: () => import(`${folder}/chats/get-chat.ts`),
    call: { path: () => ({ token, chatNumber }) },
  },
  markChatRead: {
    load: () => import(`${folder}/chats/mark-chat-read.ts`),
    call: {
      method: 'PUT',
      path: () => ({ token, chatNumber }),
      body: () => ({ messageNumber: 1 }),
    },
  },
  createMessage: {
    load: () => import(`${folder}/messages/create-message.ts`),
    call: { method: 'POST', path: () => ({ token, chatNumber }), body: () => ({ body: 'hello' }) },
  },
  updateMessage: {
    load: () => import(`${folder}/messages/update-message.ts`),
    call: {
      method: 'PUT',
      path: () => ({ token, chatNumber, messageNumber: '1' }),
      body: () => ({ body: 'edited' }),
    },
  },
  deleteMessage: {
    load: () => import(`${folder}/messages/delete-message.ts`),
    call: { method: 'DELETE', path: () => ({ token, chatNumber, messageNumber: '2' }) },
  },
  listMessages: {
    load: () => import(`${folder}/messages/list-messages.ts`),
    call: { path: () => ({ token, chatNumber }) },
  },
  getMessage: {
    load: () => import(`${folder}/messages/get-message.ts`),
    call: { path: () => ({ token, chatNumber, messageNumber: '1' }) },
  },
  searchMessages: {
    load: () => import(`${folder}/messages/search-messages.ts`),
    call: { path: () => ({ token, chatNumber }), query: { q: 'hello' } },
  },
  getHealth: { load: () => import(`${folder}/system/get-health.ts`), call: {} },
};

const run = async (name: string) => {
  const found = functions[name];
  if (found === undefined) throw new Error(`There is no ${name}`);
  const { handler } = await found.load();
  return call(handler as Handler, found.call);
};

/** As before the loss within two calls. */
const withinTwoCalls = async (name: string) => {
  const first = await run(name);
  const { statusCode, answer } = first.statusCode === 200 ? first : await run(name);
  expect(answer).toEqual(expect.not.objectContaining({ status: expect.any(Number) }));
  expect(statusCode).toBe(200);
};

beforeAll(async () => {
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...machine } = process.env;
  stack = await startServices({
    stack: `test-faults-vanished-${process.pid}`,
    environment: machine,
    report: silentReport,
    fresh: true,
  });
  network = await swallowing(stack.urls);
  const environment = {
    OPENSEARCH_URL: '',
    ...network.urls,
    JWT_SECRET: stack.secret('jwt'),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  };
  await promisify(execFile)(
    process.execPath,
    ['local/emulation/invoke.ts', 'functions/operations/migrate.ts', '{}'],
    { cwd: checkout, env: { ...machine, ...environment } },
  );
  Object.assign(process.env, environment);
  const account = await call((await functions.signUp?.load())?.handler as Handler, {
    ...functions.signUp?.call,
  });
  email = account.answer.email;
  accessToken = (await run('createToken')).answer.accessToken;
  for (let i = 0; i < 12; i += 1) spareUsers.push((await run('signUp')).answer.email);
  for (let i = 0; i < 6; i += 1) {
    const user = (await run('signUp')).answer.email;
    const handler = (await functions.createToken?.load())?.handler as Handler;
    const answer = await call(handler, { method: 'POST', authorization: () => basicOf(user) });
    spareTokens.push(answer.answer.accessToken);
  }
  token = (await run('createApplication')).answer.token;
  chatNumber = String((await run('createChat')).answer.chatNumber);
  for (let i = 0; i < 6; i += 1) {
    spareApplications.push((await run('createApplication')).answer.token);
    spareChats.push(String((await run('createChat')).answer.chatNumber));
  }
  await run('createMessage');
}, 240_000);

afterAll(async () => {
  await network?.close();
  await stack?.stop();
});

test.for(Object.keys(functions))(
  '%s answers as before within two calls',
  { timeout: 60_000 },
  async (name, { skip }) => {
    skip(
      name === 'searchMessages' && stack.services.opensearch === undefined,
      'no OpenSearch on this machine',
    );
    // Its own connections are in use, and all of them vanish. Those of the function before may be gone already.
    await withinTwoCalls(name);
    network.swallow();
    await withinTwoCalls(name);
  },
);

describe.each<[ServerVariable, string[]]>([
  ['REDIS_URL', ['createMessage', 'listMessages']],
  ['MYSQL_URL', ['listApplications']],
  ['RABBITMQ_URL', ['createMessage']],
  ['OPENSEARCH_URL', ['searchMessages']],
])('when many connections to %s vanish at once', (variable, names) => {
  test.for(names)('%s answers as before within two calls', { timeout: 60_000 }, async (name, { skip }) => {
    skip(stack.urls[variable] === undefined, 'no such server on this machine');
    const many = Array.from({ length: 8 }, () => run(name));
    for (const { statusCode } of await Promise.all(many)) expect(statusCode).toBe(200);
    expect(network.swallow(variable)).toBeGreaterThan(0);
    await withinTwoCalls(name);
  });
});
