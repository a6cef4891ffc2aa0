import { randomUUID } from 'node:crypto';
import { Client } from '@opensearch-project/opensearch';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { routes } from '#lib/contracts/index.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { apiEvent } from '../support/http-event.ts';
import { createIndexContents } from '../support/index-contents.ts';
import { eventually, type System, startSystem } from '../support/own-system.ts';

/* An erased account leaves no name, no handle and no text, also of pending messages and after an interruption. */

type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
type Account = { id: number; email: string; handle: string; accessToken: string };
type Shown = { messageNumber: number; sender?: string; senderName: string; body: string; deletedAt?: string };

const password = 'the password of this user';
/** In names and bodies of users who will be erased; nothing may keep it. */
const needle = `needle${randomUUID().replaceAll('-', '')}`;

let system: System;
let search: Client;
let stopConsuming: (() => Promise<void>) | undefined;
let token: string;
let chatNumber: number;
let passwordHash: string;

beforeAll(async () => {
  system = await startSystem('erasure', { environment: { LIMIT_SIGN_IN: '0' } });
  search = new Client({ node: system.stack.urls.OPENSEARCH_URL ?? '' });
  stopConsuming = await system.consume();
  passwordHash = await system.services.passwords().hash(password);
  token = await system.accept.application();
}, 120_000);
afterAll(async () => {
  await stopConsuming?.();
  await search?.close();
  await system?.stop();
});

const contractOf = (name: string): RouteContract =>
  Object.values(routes).find((route) => route.function === name) ?? expect.unreachable();

const call = async (
  name: string,
  file: string,
  {
    authorization,
    path,
    query,
    body,
  }: {
    authorization: string;
    path?: Record<string, string>;
    query?: Record<string, string>;
    body?: object;
  },
) => {
  const { handler }: { handler: Handler } = await import(`../../functions/http/${file}.ts`);
  const event = apiEvent(contractOf(name), {
    headers: {
      authorization,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(path === undefined ? {} : { pathParameters: path }),
    ...(query === undefined
      ? {}
      : { queryStringParameters: query, rawQueryString: `${new URLSearchParams(query)}` }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await handler(event, createLambdaContext(name, 60_000));
  return { status: answer.statusCode, body: JSON.parse(answer.body ?? 'null') };
};
const basic = ({ email }: Pick<Account, 'email'>) =>
  `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
const bearer = ({ accessToken }: Pick<Account, 'accessToken'>) => `Bearer ${accessToken}`;

const addUser = async (
  email = parseEmailAddress(`${randomUUID()}@example.org`) ?? expect.unreachable(),
): Promise<Account> => {
  const users = system.services.users();
  await users.create(
    {
      name: `Ada ${needle}`,
      email,
      passwordHash,
      signUpKey: randomUUID(),
      signUpRequest: '-',
      nowMs: Date.now(),
    },
    async () => false,
  );
  const user = (await users.findByEmail(email)) ?? expect.unreachable();
  const { accessToken } = await system.services.accessTokens().issue(user);
  return { id: user.id, email, handle: user.handle, accessToken };
};
const erase = (account: Account) => call('eraseUser', 'users/erase-user', { authorization: basic(account) });
const send = async (account: Account): Promise<number> => {
  const answer = await call('createMessage', 'messages/create-message', {
    authorization: bearer(account),
    path: { token, chatNumber: String(chatNumber) },
    body: { body: `a text with the ${needle}` },
  });
  return answer.status === 200 ? answer.body.messageNumber : 0;
};
const edit = (account: Account, messageNumber: number, deleted?: true) =>
  system.services.submit()(updateMessageCommand, {
    token,
    chatNumber,
    messageNumber,
    body: deleted ? '' : `an edit with the ${needle}`,
    ...(deleted ? { deleted } : {}),
    callerId: account.id,
  });
/** The messages of the chat, as another user reads them. */
const shown = async (reader: Account): Promise<Shown[]> => {
  const { status, body } = await call('listMessages', 'messages/list-messages', {
    authorization: bearer(reader),
    path: { token, chatNumber: String(chatNumber) },
    query: { limit: '100' },
  });
  expect(status).toBe(200);
  return body;
};
const begin = async () => {
  chatNumber = await system.accept.chat(token);
};
const settled = () =>
  eventually(async () => {
    expect(Object.values(await system.depths()).every((depth) => depth === 0)).toBe(true);
  }, 40_000);
/** Runs `eraseDeleted` as often as an hour would, on accounts that were erased more than five minutes ago. */
const eraseAll = async () => {
  await system.services
    .database()
    .write('UPDATE users SET erased_at = erased_at - INTERVAL 10 MINUTE WHERE erasing = TRUE', []);
  await eventually(async () => {
    await system.invoke('eraseDeleted');
    expect(await system.services.users().findErasing(10)).toEqual([]);
  }, 60_000);
};
const sources = async (): Promise<string> => {
  await createIndexContents(search).refresh();
  const { body } = await search.search({
    index: 'messages',
    body: { query: { match_all: {} }, size: 1_000 },
  });
  return JSON.stringify(body.hits.hits.map(({ _source }) => _source));
};
/** Every value in Redis, as text. */
const redisText = async (): Promise<string> => {
  const redis = new Redis(system.stack.urls.REDIS_URL);
  try {
    const found: unknown[] = [];
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key);
      found.push(
        key,
        type === 'hash'
          ? await redis.hgetall(key)
          : type === 'zset'
            ? await redis.zrange(key, 0, '-1')
            : type === 'set'
              ? await redis.smembers(key)
              : type === 'stream'
                ? await redis.xrange(key, '-', '+')
                : await redis.get(key),
      );
    }
    return JSON.stringify(found);
  } finally {
    redis.disconnect();
  }
};
const mysqlText = async (): Promise<string> => {
  const database = system.services.database();
  return JSON.stringify(
    await Promise.all(
      ['users', 'messages', 'applications', 'chats', 'reservations'].map((table) =>
        database.select(`SELECT * FROM ${table}`, []),
      ),
    ),
  );
};
/** Nothing has the needle, or the handle of the account, anywhere. */
const leavesNoTrace = async (account: Account, messageNumbers: readonly number[], reader: Account) => {
  const blank = { senderName: 'Deleted user', body: '', deletedAt: expect.any(String) };
  const messages = await shown(reader);
  for (const messageNumber of messageNumbers) {
    const message = messages.find((one) => one.messageNumber === messageNumber);
    expect(message).toMatchObject(blank);
    expect(message).not.toHaveProperty('sender');
  }
  for (const text of [needle, account.handle]) {
    expect(JSON.stringify(messages)).not.toContain(text);
    expect(await mysqlText()).not.toContain(text);
    expect(await redisText()).not.toContain(text);
    await eventually(async () => expect(await sources()).not.toContain(text));
  }
  const [row] = await system.services
    .database()
    .select(
      'SELECT name, email, password, handle, sign_up_key, sign_up_request, erasing FROM users WHERE id = ?',
      [account.id],
    );
  expect(row).toEqual({
    name: 'Deleted user',
    email: null,
    password: null,
    handle: null,
    sign_up_key: null,
    sign_up_request: null,
    erasing: null,
  });
};
/** A user whose name has no needle. */
const addReader = async (): Promise<Account> => {
  const reader = await addUser();
  await system.services.database().write("UPDATE users SET name = 'Reader' WHERE id = ?", [reader.id]);
  return reader;
};

describe('an erased account', { timeout: 120_000 }, () => {
  test('ends at once: tokens, password and address, which is free', async () => {
    await begin();
    const account = await addUser();
    expect(await send(account)).toBe(1);
    expect(await erase(account)).toEqual({ status: 200, body: {} });
    expect(await send(account)).toBe(0);
    for (const again of [
      await erase(account),
      await call('createToken', 'users/create-token', { authorization: basic(account) }),
    ])
      expect(again.status).toBe(401);
    const successor = await addUser(parseEmailAddress(account.email));
    expect(successor.handle).not.toBe(account.handle);
    expect(await send(successor)).toBe(2);
    await settled();
    await erase(successor);
    await eraseAll();
    await leavesNoTrace(account, [1, 2], await addReader());
  });

  test('while it writes: its messages are all blank, and none is lost', async () => {
    await begin();
    const account = await addUser();
    const sent: number[] = [];
    let isOver = false;
    const write = async () => {
      while (!isOver) {
        const number = await send(account);
        if (number > 0) sent.push(number);
        if (number > 0 && number % 3 === 0) await edit(account, number).catch(() => undefined);
        if (number > 0 && number % 5 === 0) await edit(account, number, true).catch(() => undefined);
      }
    };
    const writers = Array.from({ length: 8 }, write);
    await eventually(() => expect(sent.length).toBeGreaterThan(40));
    expect((await erase(account)).status).toBe(200);
    isOver = true;
    await Promise.all(writers);
    await settled();
    await eraseAll();
    sent.sort((one, other) => one - other);
    expect(await system.stored(token, chatNumber)).toEqual(sent);
    // A page has a hundred messages.
    await leavesNoTrace(account, sent.slice(-90), await addReader());
  });

  test('with pending messages: they are stored as deleted, and without a name', async () => {
    await begin();
    const account = await addUser();
    const reader = await addReader();
    await shown(reader);
    await stopConsuming?.();
    const numbers = [await send(account), await send(account), await send(account)];
    await edit(account, 2);
    expect((await erase(account)).status).toBe(200);
    stopConsuming = await system.consume();
    await settled();
    // No run of eraseDeleted was needed.
    for (const message of await shown(reader)) {
      expect(message).toMatchObject({ senderName: 'Deleted user', body: '' });
      expect(message).not.toHaveProperty('sender');
    }
    await eraseAll();
    await leavesNoTrace(account, numbers, reader);
  });

  test('with a command that comes again after all was erased', async () => {
    await begin();
    const account = await addUser();
    await send(account);
    await settled();
    expect((await erase(account)).status).toBe(200);
    await eraseAll();
    // As a redriven dead letter.
    await system.services.publisher().publish([
      {
        queue: createMessageCommand.queue,
        content: JSON.stringify({
          token,
          chatNumber,
          messageNumber: 2,
          senderId: account.id,
          senderName: `Ada ${needle}`,
          body: `a text with the ${needle}`,
          date: new Date().toISOString(),
        }),
        messageId: randomUUID(),
      },
    ]);
    await eventually(async () => expect(await system.stored(token, chatNumber)).toEqual([1, 2]));
    await settled();
    await leavesNoTrace(account, [1, 2], await addReader());
  });

  test('with messages that were deleted earlier, which kept their sender until now', async () => {
    await begin();
    const account = await addUser();
    const reader = await addReader();
    const number = await send(account);
    await edit(account, number, true);
    await settled();
    expect(await shown(reader)).toMatchObject([{ sender: account.handle, body: '' }]);
    expect((await erase(account)).status).toBe(200);
    await eraseAll();
    await leavesNoTrace(account, [number], reader);
  });

  test('goes on after an interruption between MySQL and Redis', async () => {
    await begin();
    const account = await addUser();
    const reader = await addReader();
    const numbers = [await send(account), await send(account)];
    await settled();
    // The window has the texts.
    expect(JSON.stringify(await shown(reader))).toContain(needle);
    expect((await erase(account)).status).toBe(200);
    expect(await system.services.messages().eraseNext(account.id, 0, 1_000)).toHaveLength(2);
    await eraseAll();
    await leavesNoTrace(account, numbers, reader);
  });

  test('keeps its applications, which nobody can edit', async () => {
    const account = await addUser();
    const created = await call('createApplication', 'applications/create-application', {
      authorization: bearer(account),
      body: { name: 'An application' },
    });
    await settled();
    expect((await erase(account)).status).toBe(200);
    await eraseAll();
    const reader = await addReader();
    const path = { token: created.body.token };
    const got = await call('getApplication', 'applications/get-application', {
      authorization: bearer(reader),
      path,
    });
    expect(got).toMatchObject({ status: 200, body: { name: 'An application' } });
    const renamed = await call('updateApplication', 'applications/update-application', {
      authorization: bearer(reader),
      path,
      body: { name: 'Mine now' },
    });
    expect(renamed.status).toBe(403);
  });

  test('keeps its name for five minutes, for what began before the erasure', async () => {
    const account = await addUser();
    expect((await erase(account)).status).toBe(200);
    await system.invoke('eraseDeleted');
    expect(await system.services.users().findErasing(10)).toEqual([account.id]);
    await eraseAll();
  });
});

test('without Redis nothing is erased, and without MySQL neither', { timeout: 60_000 }, async () => {
  const account = await addUser();
  for (const name of ['redis', 'mysql'] as const) {
    await system.service(name).stop();
    expect((await erase(account)).status).toBe(503);
    await system.service(name).start();
    await eventually(async () => {
      expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' });
    });
    const answer = await call('getUser', 'users/get-user', { authorization: bearer(account) });
    expect(answer).toMatchObject({ status: 200, body: { email: account.email } });
  }
});
