/**
 * What accepting costs, and how soon what was accepted is stored and can be found. See bench/README.md.
 *
 *   npm run bench:write [-- --rate 200]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { messageIndex, messages, submit } from '#lib/runtime/services.ts';
import { handler as handleCreateMessage } from '../functions/http/messages/create-message.ts';
import { connectApi } from '../local/demo/api.ts';
import { Failure, type Report } from '../local/services/index.ts';
import { bodyOf, type Chat, createChat, fillChat } from './conversation.ts';
import { openRawAccept } from './fixtures/raw-accept.ts';
import { type Call, callFunction, pathOf } from './function-call.ts';
import { measureInTurns, median, ms, percentile, table, throughputInTurns, times } from './measure.ts';
import { during, emptyPath, runBench } from './stack.ts';

const AT_ONCE = 32;
const throughputTurns = { rounds: 3, turnMs: 1_500, atOnce: AT_ONCE };
const latencyTurns = { rounds: 30, callsARound: 5, warmUp: 40 };
const SECONDS = 15;
const WARM_UP_SECONDS = 3;
const WARM_UP_MESSAGES = 5_000;
const PROBE_MS = 50;
const ARRIVE_WITHIN_MS = 60_000;

const { values } = parseArgs({ options: { rate: { type: 'string', default: '200' } } });
/** Messages a second for the arrival. */
const rate = Number(values.rate);
if (!(rate >= 1 && rate <= 10_000)) throw new Failure(`--rate is "${values.rate}". Expected 1 to 10000.`);

const callOf = ({ token, chatNumber, authorization }: Chat, index: number): Call => ({
  method: 'POST',
  route: '/applications/{token}/chats/{chatNumber}/messages',
  path: { token, chatNumber: String(chatNumber) },
  authorization,
  body: { body: bodyOf(index) },
});

/** Acceptance by HTTP, by the handler, by the function's own service, and by the drivers alone. */
const benchAcceptance = async (api: URL, report: Report) => {
  const chat = await createChat();
  const { token, chatNumber, user, authorization } = chat;
  const drivers = await openRawAccept({
    redis: process.env.REDIS_URL ?? '',
    rabbitmq: process.env.RABBITMQ_URL ?? '',
  });
  const http = connectApi(api, AT_ONCE);
  let index = 0;
  const nextCall = () => {
    index += 1;
    return callOf(chat, index);
  };
  const post = (path: string, { body = {} }: Call) =>
    http.call({ method: 'POST', path, authorization, body });
  const variants = {
    empty: () => post(emptyPath, nextCall()),
    http: () => {
      const call = nextCall();
      return post(pathOf(call), call);
    },
    handler: () => callFunction(handleCreateMessage, nextCall()),
    submit: () => {
      index += 1;
      return submit().message({
        token,
        chatNumber,
        senderId: user.id,
        senderName: user.name,
        body: bodyOf(index),
        createdAtMs: Date.now(),
      });
    },
    drivers: () => {
      index += 1;
      return drivers.accept(bodyOf(index));
    },
  };
  try {
    const latencies = await during(report, 'accepting, one at a time', (detail) =>
      measureInTurns(variants, { ...latencyTurns, detail }),
    );
    const rates = await during(report, `accepting, ${AT_ONCE} at a time`, () =>
      throughputInTurns(variants, throughputTurns),
    );
    const row = (name: string, of: keyof typeof variants, base: keyof typeof variants) => [
      name,
      ms(median(latencies[of])),
      times(median(latencies[of]) / median(latencies[base])),
      Math.round(rates[of]).toLocaleString('en'),
      times(rates[of] / rates[base]),
    ];
    console.log(
      `\nAccepting a message: medians of ${latencyTurns.rounds * latencyTurns.callsARound} calls one at a time, and calls a second with ${AT_ONCE} at once; the consumers run beside it.\n`,
    );
    console.log(
      table([
        ['', 'ms', 'ratio', 'a second', 'ratio'],
        row('by HTTP, empty function', 'empty', 'empty'),
        row('by HTTP, POST a message', 'http', 'empty'),
        row('drivers: a plain script, publish, confirm', 'drivers', 'drivers'),
        row('submit, in process', 'submit', 'drivers'),
        row('handler, in process', 'handler', 'drivers'),
      ]),
    );
  } finally {
    http.close();
    await drivers.close();
  }
};

/** Asks again and again which messages of a chat have arrived, and notes when each was first seen. */
const watchArrivals = async (
  isOver: () => boolean,
  arrivedAt: Map<number, number>,
  findAfter: (number: number) => Promise<number[]>,
): Promise<void> => {
  let seenUpTo = 0;
  while (!isOver()) {
    for (const number of await findAfter(seenUpTo))
      if (!arrivedAt.has(number)) arrivedAt.set(number, performance.now());
    while (arrivedAt.has(seenUpTo + 1)) seenUpTo += 1;
    await delay(PROBE_MS);
  }
};

type Send = (call: Call) => Promise<string>;

/**
 * Sends a message every so often, whether those before were answered or not.
 * @returns how long it took until all were answered, in ms
 */
const sendSteadily = async (
  send: Send,
  chat: Chat,
  count: number,
  onAccepted: (messageNumber: number, sentAt: number) => void,
): Promise<number> => {
  const begunAt = performance.now();
  const sent: Promise<void>[] = [];
  for (let index = 0; index < count; index += 1) {
    const waitMs = begunAt + (index * 1000) / rate - performance.now();
    if (waitMs > 1) await delay(waitMs);
    const call = callOf(chat, index);
    const sentAt = performance.now();
    sent.push(send(call).then((text) => onAccepted(Number(JSON.parse(text).messageNumber), sentAt)));
  }
  await Promise.all(sent);
  return performance.now() - begunAt;
};

/** From a message's acceptance until MySQL has it, and until a search can find it, at a steady rate. */
const measureArrival = async (send: Send, detail: (text: string) => void) => {
  const chat = await createChat();
  const { token, chatNumber } = chat;
  const count = rate * SECONDS;
  const acceptedAt = new Map<number, number>();
  const stored = new Map<number, number>();
  const searchable = new Map<number, number>();
  const tookMs: number[] = [];
  let givenUpAt = Number.POSITIVE_INFINITY;
  const isOver = (arrived: Map<number, number>) => () =>
    arrived.size >= count || performance.now() > givenUpAt;

  // Code that is not compiled yet and connections that are not made yet are not what is measured.
  await sendSteadily(send, await createChat(), rate * WARM_UP_SECONDS, () => undefined);
  const watching = [
    watchArrivals(isOver(stored), stored, async (after) => {
      const rows = await messages().find(
        Array.from({ length: 200 }, (_, index) => ({ token, chatNumber, messageNumber: after + 1 + index })),
      );
      return rows.map(({ messageNumber }) => messageNumber);
    }),
    watchArrivals(isOver(searchable), searchable, async (afterNumber) => {
      const found = await messageIndex().listVersions({ token, chatNumber, afterNumber, limit: 2_000 });
      return found.map(({ messageNumber }) => messageNumber);
    }),
  ];
  let done = 0;
  const sendingMs = await sendSteadily(send, chat, count, (messageNumber, sentAt) => {
    const nowMs = performance.now();
    tookMs.push(nowMs - sentAt);
    acceptedAt.set(messageNumber, nowMs);
    done += 1;
    detail(`${done} of ${count}`);
  });
  givenUpAt = performance.now() + ARRIVE_WITHIN_MS;
  await Promise.all(watching);
  if (searchable.size < count || stored.size < count)
    throw new Failure(
      `Of ${count} accepted messages ${stored.size} are stored and ${searchable.size} searchable ${ARRIVE_WITHIN_MS / 1000} s later.`,
    );
  const lags = (arrived: Map<number, number>) =>
    // One seen by the probe before its sender had the answer counts as seen at once.
    [...acceptedAt].map(([number, at]) => Math.max(0, (arrived.get(number) ?? Number.NaN) - at));
  return { sendingMs, tookMs, storedMs: lags(stored), searchableMs: lags(searchable) };
};

const benchArrival = async (api: URL, report: Report) => {
  // A Java server that has just started takes a second and more for its first batches, and some seconds to get quick.
  await during(report, 'warming the servers up', async (detail) =>
    fillChat(await createChat(), WARM_UP_MESSAGES, detail),
  );
  const http = connectApi(api, 128);
  const ways: Record<string, Send> = {
    'by the handler, in process': (call) => callFunction(handleCreateMessage, call),
    'by HTTP, through serverless-offline': async ({ body = {}, ...call }) =>
      (
        await http.call({
          method: 'POST',
          path: pathOf(call),
          authorization: call.authorization,
          body,
        })
      ).text,
  };
  const row = (name: string, samples: number[]) => [
    name,
    ...[0.5, 0.95, 0.99, 1].map((part) => Math.round(percentile(samples, part)).toLocaleString('en')),
  ];
  try {
    for (const [way, send] of Object.entries(ways)) {
      const { sendingMs, tookMs, storedMs, searchableMs } = await during(
        report,
        `accepting ${rate} a second ${way}`,
        (detail) => measureArrival(send, detail),
      );
      console.log(
        `\nAccepted ${way}: ${rate} messages a second into one chat for ${SECONDS} s, in ms (looked for every ${PROBE_MS} ms)\n`,
      );
      if (sendingMs > SECONDS * 1_050)
        console.log(
          `This machine did not keep up: the last answer came after ${(sendingMs / 1000).toFixed(1)} s. What follows says more of its load than of the system.\n`,
        );
      console.log(
        table([
          ['', 'p50', 'p95', 'p99', 'most'],
          row('until the 200', tookMs),
          row('from then until MySQL has it', storedMs),
          row('from then until search finds it', searchableMs),
        ]),
      );
    }
  } finally {
    http.close();
  }
};

await runBench(async (api, report) => {
  await benchArrival(api, report);
  await benchAcceptance(api, report);
});
