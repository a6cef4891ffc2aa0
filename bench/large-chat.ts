/**
 * Loads millions of messages into one chat, and compares the same work there and among 10,000. See bench/README.md.
 *
 *   npm run bench:large-chat [-- --messages 5000000 --json <file> --markdown <file>]
 */
import { readdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectApi } from '../local/demo/api.ts';
import { Failure, type ServiceName, type Stack } from '../local/services/index.ts';
import { asBulkLoad, untilMerged } from './bulk-index.ts';
import { LAST_CHAT, measureChat, type Times, timeRows } from './chat-times.ts';
import { type Chat, createChat, fillChat, send, untilArrived } from './conversation.ts';
import { loadChats, loadMessages, type Range } from './load.ts';
import { checkRoom, describeLoad, estimateLoad, type Load } from './load-estimate.ts';
import { median } from './measure.ts';
import { beforeRun } from './outputs.ts';
import { beginResults } from './results.ts';
import type { Row } from './row.ts';
import { flushRedis, untilVerified } from './sections/heal.ts';
import { during, type Running, runBench } from './stack.ts';

const SMALL = 10_000;
const SAMPLE = 20_000;
/** Other load on the machine comes in bursts. */
const ROUNDS = 3;
/** Measuring adds some thousand messages to the small chat. */
const LEAST = 100_000;

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '5000000' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});
const messages = Number(values.messages);

/** Bytes that the server's files take on the disk. @throws Failure if the server does not run as our process */
const diskBytes = ({ services }: Stack, name: ServiceName): number => {
  const folder = services[name]?.dataFolder;
  if (folder === undefined)
    throw new Failure(
      `This bench reads the data folder of ${name}, and Docker hides it. Set LOCAL_SERVICES=process.`,
    );
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce(
    (bytes, file) => bytes + 512 * (statSync(join(folder, file), { throwIfNoEntry: false })?.blocks ?? 0),
    0,
  );
};

/** Loads messages in bulk, until the index has merged them. @returns the time and the space that it took */
const loadInBulk = ({ stack, report }: Running, what: string, chat: Chat, range: Range): Promise<Load> =>
  during(report, what, async (detail) => {
    const space = () => ({ mysql: diskBytes(stack, 'mysql'), index: diskBytes(stack, 'opensearch') });
    const before = space();
    const startedAt = performance.now();
    const total = range.to - range.from + 1;
    let loaded = 0;
    await asBulkLoad(() =>
      loadMessages(chat, range, (count) => {
        loaded += count;
        const rate = Math.round((loaded * 1_000) / (performance.now() - startedAt));
        detail(
          `${loaded.toLocaleString('en')} of ${total.toLocaleString('en')}, ${rate.toLocaleString('en')}/s`,
        );
      }),
    );
    detail('the index merges');
    await untilMerged();
    const after = space();
    return {
      messages: total,
      seconds: (performance.now() - startedAt) / 1_000,
      mysqlBytes: after.mysql - before.mysql,
      indexBytes: after.index - before.index,
    };
  });

/** Loads a sample into a chat of its own. @throws Failure if the disk has no room for `count` messages more */
const estimate = async (running: Running, count: number): Promise<Load> => {
  const chat = await createChat();
  await fillChat(chat, 1);
  const what = `loading a sample of ${SAMPLE.toLocaleString('en')} messages`;
  const sample = await loadInBulk(running, what, chat, { from: 2, to: SAMPLE });
  const estimated = estimateLoad(sample, count);
  running.report.say(`Estimate for ${describeLoad(estimated)}`);
  const { bavail, bsize } = await statfs(running.stack.folder);
  checkRoom(estimated, { free: bavail * bsize, folder: running.stack.folder });
  return estimated;
};

type Measured = { times: Times; machineLoad: number };

const mediansOf = (rounds: readonly Times[]): Times =>
  Object.fromEntries(
    Object.keys(rounds[0] ?? {}).map((name) => [
      name,
      median(rounds.map((times) => times[name] ?? Number.NaN)),
    ]),
  );

/** Redis learns the counters from MySQL by a recovery. @throws Failure unless the next message follows the loaded ones */
const measureLoaded = async (
  { stack, api, report }: Running,
  chat: Chat,
  loaded: number,
): Promise<Measured> => {
  const http = connectApi(api, 1);
  try {
    await during(report, 'recovering the counters', async () => {
      await flushRedis(stack.urls.REDIS_URL, http, chat);
      await untilVerified();
    });
  } finally {
    http.close();
  }
  const messageNumber = await send({ ...chat, index: loaded });
  if (messageNumber <= loaded) throw new Failure(`Redis gave number ${messageNumber} again`);
  const rounds: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const what = `measuring among ${loaded.toLocaleString('en')} messages, ${round} of ${ROUNDS}`;
    const times = await during(report, what, () => measureChat(chat));
    rounds.push({ times, machineLoad: loadavg()[0] ?? Number.NaN });
  }
  return {
    times: mediansOf(rounds.map(({ times }) => times)),
    machineLoad: median(rounds.map(({ machineLoad }) => machineLoad)),
  };
};

const loadRows = (load: Load, estimated: Load): Row[] => {
  const row = (name: string, unit: Row['unit'], ours: number, value: number): Row => ({
    name: `${name} of ${load.messages.toLocaleString('en')} messages`,
    unit,
    ours,
    peer: { name: 'estimated from the sample', value },
    ratio: ours / value,
  });
  return [
    row('load', 's', load.seconds, estimated.seconds),
    row("MySQL's disk space", 'MB', load.mysqlBytes / 1e6, estimated.mysqlBytes / 1e6),
    row("OpenSearch's disk space", 'MB', load.indexBytes / 1e6, estimated.indexBytes / 1e6),
  ];
};

const bench = async (running: Running): Promise<Row[]> => {
  const chat = await createChat();
  await fillChat(chat, 1);
  await loadChats(chat, { from: 2, to: LAST_CHAT });
  await loadInBulk(running, `loading ${SMALL.toLocaleString('en')} messages`, chat, { from: 2, to: SMALL });
  const estimated = await estimate(running, messages - SMALL);
  const small = await measureLoaded(running, chat, SMALL);

  const last = await send({ ...chat, index: 0 });
  await untilArrived({ ...chat, messageNumber: last });
  const what = `loading up to ${messages.toLocaleString('en')} messages`;
  const load = await loadInBulk(running, what, chat, { from: last + 1, to: messages });
  running.report.say(`Loaded ${describeLoad(load)}`);
  const large = await measureLoaded(running, chat, messages);
  return [
    ...loadRows(load, estimateLoad(estimated, load.messages)),
    ...timeRows(
      { what: `${messages.toLocaleString('en')} messages in one chat`, times: large.times },
      { what: `with ${SMALL.toLocaleString('en')}`, times: small.times },
    ),
    {
      name: "the machine's load average while measuring",
      unit: '',
      ours: large.machineLoad,
      peer: { name: `with ${SMALL.toLocaleString('en')}`, value: small.machineLoad },
      ratio: large.machineLoad / small.machineLoad,
    },
  ];
};

const begin = () => {
  if (!Number.isSafeInteger(messages) || messages < LEAST)
    throw new Failure(`--messages is ${values.messages}. Expected a whole number of at least ${LEAST}.`);
  return beginResults({ command: 'bench:large-chat', json: values.json, markdown: values.markdown });
};

const results = beforeRun(begin);
await runBench({ withApi: true }, async (running) => {
  const rows = await bench(running);
  results.publish(rows, { messages });
});
