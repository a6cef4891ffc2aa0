import { positionOf } from '#lib/domain/message.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { cursors } from '#lib/runtime/services/reading.ts';
import { handler as getMessage } from '../../functions/http/messages/get-message.ts';
import { handler as listMessages } from '../../functions/http/messages/list-messages.ts';
import { handler as searchMessages } from '../../functions/http/messages/search-messages.ts';
import { connectApi } from '../../local/demo/api.ts';
import { Failure } from '../../local/services/index.ts';
import { bodyOf, type Chat, createChat, fillChat, wordOf } from '../conversation.ts';
import { type Call, callFunction, type Handler, pathOf } from '../function-call.ts';
import { compare, type Work } from '../measure.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during, emptyPath } from '../stack.ts';

const MESSAGES = 6_000;
export const LIMIT = 10;
const IN_FLIGHT = 32;
const TURNS = { turnMs: 500, rounds: 4 };
const SEARCHED = `${wordOf(100)} ${wordOf(300)}`;

type Case = { name: string; handler: Handler; call: Call };
const LIST = '/applications/{token}/chats/{chatNumber}/messages';

/** Calls that read a chat; `before` is the cursor of a deep page. */
export const readingCalls = (
  { token, chatNumber, authorization }: Chat,
  wanted: { before: string; words: string },
) => {
  const get = (route: string, query?: Record<string, string>, more: Record<string, string> = {}): Call => ({
    method: 'GET',
    route,
    path: { token, chatNumber: String(chatNumber), ...more },
    ...(query === undefined ? {} : { query }),
    authorization,
  });
  const limit = String(LIMIT);
  return {
    newest: get(LIST, { limit }),
    deep: get(LIST, { limit, before: wanted.before }),
    search: get(`${LIST}/search`, { q: wanted.words, limit }),
    message: (messageNumber: number) =>
      get(`${LIST}/{messageNumber}`, undefined, { messageNumber: String(messageNumber) }),
  };
};

/** The cursor of the page behind the newest `depth` messages. */
export const cursorAt = async (chat: Chat, depth: number): Promise<string> => {
  const [message] = await messages().page(chat, { skip: depth - 1, count: 1 });
  if (message === undefined) throw new Failure(`The chat has no message ${depth} deep`);
  return cursors().write(positionOf(message), chat);
};

const casesOf = async (chat: Chat): Promise<Case[]> => {
  const depth = MESSAGES - 1_000;
  const calls = readingCalls(chat, { before: await cursorAt(chat, depth), words: SEARCHED });
  return [
    { name: 'newest page', handler: listMessages, call: calls.newest },
    { name: `page at depth ${depth.toLocaleString('en')}`, handler: listMessages, call: calls.deep },
    { name: 'message, recent', handler: getMessage, call: calls.message(MESSAGES - 5) },
    { name: 'message, old', handler: getMessage, call: calls.message(5) },
    { name: 'search, two words', handler: searchMessages, call: calls.search },
  ];
};

/** The handlers in this process: Node's processor time for each call. */
const rowsInProcess = async (cases: readonly Case[]): Promise<Row[]> => {
  const works: Record<string, Work> = Object.fromEntries(
    cases.map(({ name, handler, call }) => [name, () => callFunction(handler, call)]),
  );
  const of = await compare(works, { inFlight: 10, ...TURNS });
  return cases.map(({ name }) => ({
    name: `${name}, handler in process: Node CPU`,
    unit: 'µs',
    ours: of(name).cpuMicros,
    ...(name === 'newest page' ? { goal: { of: 'ours', atMost: 250 } } : {}),
  }));
};

/** Through serverless-offline, against a function that does nothing. */
const rowsByHttp = async (cases: readonly Case[], chat: Chat, api: URL): Promise<Row[]> => {
  const http = connectApi(api, IN_FLIGHT);
  const { authorization, token, chatNumber } = chat;
  let index = 0;
  const post = (path: string) => {
    index += 1;
    return http.call({ method: 'POST', path, authorization, body: { body: bodyOf(index) } });
  };
  const works: Record<string, Work> = {
    'empty GET': () => http.call({ method: 'GET', path: emptyPath, authorization }),
    ...Object.fromEntries(
      cases.map(({ name, call }) => [
        name,
        () => http.call({ method: 'GET', path: pathOf(call), authorization }),
      ]),
    ),
    'empty POST': () => post(emptyPath),
    accept: () => post(`/applications/${token}/chats/${chatNumber}/messages`),
  };
  try {
    const of = await compare(works, { inFlight: IN_FLIGHT, ...TURNS });
    const row = (name: string, empty: string, hasGoal: boolean): Row => ({
      name: `${name}, by HTTP, ${IN_FLIGHT} in flight`,
      unit: '/s',
      ours: of(name).perSecond,
      peer: { name: 'empty function', value: of(empty).perSecond },
      ratio: of(name).ratioTo(empty),
      ...(hasGoal ? { goal: { of: 'ratio', atLeast: 0.7 } } : {}),
    });
    return [
      row('accept', 'empty POST', true),
      ...cases.map(({ name }) => row(name, 'empty GET', name === 'newest page')),
    ];
  } finally {
    http.close();
  }
};

/** Reading in process and by HTTP, and accepting by HTTP. */
export const http: Section = async ({ api, report }) => {
  const chat = await createChat();
  await during(report, `filling a chat with ${MESSAGES} messages`, () => fillChat(chat, MESSAGES));
  const cases = await casesOf(chat);
  const inProcess = await during(report, 'reading in process', () => rowsInProcess(cases));
  const byHttp = await during(report, 'reading and accepting by HTTP', () => rowsByHttp(cases, chat, api));
  return [...byHttp, ...inProcess];
};
