/**
 * What reading costs: through serverless-offline against a function that does nothing, and called in process against
 * the same requests sent by the bare drivers. See bench/README.md.
 *
 *   npm run bench:read
 */

import { createChatDirectory } from '#lib/chat/chat-directory.ts';
import { createConversation } from '#lib/chat/conversation.ts';
import { positionOf } from '#lib/domain/message.ts';
import { createApplications } from '#lib/mysql/applications.ts';
import { createChats } from '#lib/mysql/chats.ts';
import { createMessages } from '#lib/mysql/messages.ts';
import { createMessageIndex } from '#lib/opensearch/message-index.ts';
import { createCounters } from '#lib/redis/counters.ts';
import { createDirectory } from '#lib/redis/directory.ts';
import { createKeys } from '#lib/redis/keys.ts';
import { createOutbox } from '#lib/redis/outbox.ts';
import { createRecentMessages } from '#lib/redis/recent-messages.ts';
import { accessTokens, cursors } from '#lib/runtime/services.ts';
import { getMessage, handler as handleGetMessage } from '../functions/http/messages/get-message.ts';
import { handler as handleListMessages, listMessages } from '../functions/http/messages/list-messages.ts';
import { handler as handleSearch, searchMessages } from '../functions/http/messages/search-messages.ts';
import { connectApi } from '../local/demo/api.ts';
import { Failure, type Report } from '../local/services/index.ts';
import { createChat, fillChat, wordOf } from './conversation.ts';
import { type Call, callFunction, type Handler, pathOf } from './function-call.ts';
import { measureInTurns, median, ms, table, times, type Variants } from './measure.ts';
import { openRecording } from './recording.ts';
import { during, emptyPath, runBench } from './stack.ts';

const MESSAGES = 10_500;
const DEPTH = 10_000;
const LIMIT = 10;
const SEARCHED = `${wordOf(100)} ${wordOf(300)}`;
const settings = { rounds: 30, callsARound: 5, warmUp: 40 };

type Case = {
  name: string;
  call: Call;
  handler: Handler;
  /** The function itself, on connections that note what it asks of the servers. */
  run: () => Promise<unknown>;
};

const bench = async (api: URL, report: Report) => {
  const chat = await createChat();
  await during(report, 'filling a chat', (detail) => fillChat(chat, MESSAGES, detail));
  const { token, chatNumber, user: caller, authorization } = chat;

  const environment = process.env;
  const recording = openRecording({
    mysql: environment.MYSQL_URL ?? '',
    redis: environment.REDIS_URL ?? '',
    opensearch: environment.OPENSEARCH_URL ?? '',
  });
  const { redisClient, database, client } = recording;
  const keys = createKeys(environment.REDIS_KEY_PREFIX);
  const chats = createChats(database);
  const messages = createMessages(database);
  const conversation = createConversation({
    recentMessages: createRecentMessages({ client: redisClient, keys }),
    messages,
    chats,
  });
  const search = {
    messageIndex: createMessageIndex({ client, prefix: environment.OPENSEARCH_INDEX_PREFIX ?? '' }),
    chatDirectory: createChatDirectory({
      directory: createDirectory({ client: redisClient, keys }),
      counters: createCounters({ client: redisClient, keys }),
      chats,
      applications: createApplications(database),
    }),
    outbox: createOutbox({ client: redisClient, keys }),
    cursors: cursors(),
    now: Date.now,
  };
  const request = {
    caller,
    credentials: { user: '', password: '' },
    idempotency: undefined,
    clientAddress: '127.0.0.1',
  };

  const deep = (await messages.page(chat, { skip: DEPTH - 1, count: 1 }))[0];
  if (deep === undefined) throw new Failure(`The chat has no message ${DEPTH} deep`);
  const before = cursors().write(positionOf(deep), chat);

  const list = '/applications/{token}/chats/{chatNumber}/messages';
  const inChat = { token, chatNumber: String(chatNumber) };
  const page = (name: string, query: { before?: string }): Case => ({
    name,
    call: {
      method: 'GET',
      route: list,
      path: inChat,
      query: { limit: String(LIMIT), ...query },
      authorization,
    },
    handler: handleListMessages,
    run: () =>
      listMessages(
        { ...request, input: { token, chatNumber, limit: LIMIT, ...query } },
        { conversation, cursors: cursors() },
      ),
  });
  const message = (name: string, messageNumber: number): Case => ({
    name,
    call: {
      method: 'GET',
      route: `${list}/{messageNumber}`,
      path: { ...inChat, messageNumber: String(messageNumber) },
      authorization,
    },
    handler: handleGetMessage,
    run: () => getMessage({ ...request, input: { token, chatNumber, messageNumber } }, { conversation }),
  });
  const cases: Case[] = [
    page('newest page', {}),
    page(`page at depth ${DEPTH.toLocaleString('en')}`, { before }),
    message('message, recent', MESSAGES - 5),
    message('message, old', 5),
    {
      name: 'search',
      call: {
        method: 'GET',
        route: `${list}/search`,
        path: inChat,
        query: { q: SEARCHED, limit: String(LIMIT) },
        authorization,
      },
      handler: handleSearch,
      run: () =>
        searchMessages(
          {
            ...request,
            input: {
              token,
              chatNumber,
              q: SEARCHED,
              page: 1,
              limit: LIMIT,
              highlight: false,
              upTo: undefined,
              after: undefined,
            },
          },
          search,
        ),
    },
  ];

  const http = connectApi(api, 1);
  const variants: Variants = {
    empty: () => http.call({ method: 'GET', path: emptyPath, authorization }),
    token: () => accessTokens().verify(authorization.slice('Bearer '.length)),
  };
  for (const { name, call, handler, run } of cases) {
    variants[`${name} http`] = () => http.call({ method: 'GET', path: pathOf(call), authorization });
    variants[`${name} bare`] = () => callFunction(handler, call);
    variants[`${name} drivers`] = await recording.record(run);
  }
  try {
    const samples = await during(report, 'measuring', (detail) =>
      measureInTurns(variants, { ...settings, detail }),
    );
    const of = (name: string) => median(samples[name] ?? []);
    const empty = of('empty');
    console.log(
      `\nA chat of ${MESSAGES.toLocaleString('en')} messages, ${LIMIT} a page; medians of ${settings.rounds * settings.callsARound} calls, one at a time, in ms.\n`,
    );
    console.log(
      table([
        ['', 'drivers', 'handler', 'ratio', 'by HTTP', 'empty function', 'ratio'],
        ...cases.map(({ name }) => {
          const [drivers, bare, byHttp] = [of(`${name} drivers`), of(`${name} bare`), of(`${name} http`)];
          return [
            name,
            ms(drivers),
            ms(bare),
            times(bare / drivers),
            ms(byHttp),
            ms(empty),
            times(byHttp / empty),
          ];
        }),
      ]),
    );
    console.log('\nWhere the time of a request by HTTP goes, in ms:\n');
    console.log(
      table([
        [
          '',
          'servers and drivers',
          'the function around them',
          'of it the access token',
          'serverless-offline',
        ],
        ...cases.map(({ name }) => {
          const [drivers, bare, byHttp] = [of(`${name} drivers`), of(`${name} bare`), of(`${name} http`)];
          return [name, ms(drivers), ms(bare - drivers), ms(of('token')), ms(byHttp - bare)];
        }),
      ]),
    );
  } finally {
    http.close();
    await recording.close();
  }
};

await runBench(bench);
