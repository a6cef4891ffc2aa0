// npm run bench:cold: the cost of a first call in a fresh Node process, for each packaged function, over an empty function.
// Wall and processor time in milliseconds, memory in MB. `--json` also prints JSON.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { startServices, terminalReport } from '../local/services/index.ts';
import { type Cell, startCell } from '../test/support/cell.ts';
import { readEvent } from '../test/support/event-file.ts';
import { type Lambda, startLambda, type Usage } from '../test/support/lambda.ts';
import packageStages from '../test/support/packages.ts';

const RUNS = 3;
const parts = ['wallMs', 'cpuMs', 'memoryMb'] as const;
type Row = { name: string; loaded: Usage; called: Usage };

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const mapParts = (of: (part: (typeof parts)[number]) => number): Usage => ({
  wallMs: of('wallMs'),
  cpuMs: of('cpuMs'),
  memoryMb: of('memoryMb'),
});

/** Calls a function once in each of several fresh processes. */
const measure = async (name: string, start: () => Promise<Lambda>, event: unknown): Promise<Row> => {
  const loaded: Usage[] = [];
  const called: Usage[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const lambda = await start();
    try {
      loaded.push(lambda.loaded);
      const { usage } = await lambda.invoke(event, 60_000);
      called.push(usage);
    } finally {
      await lambda.stop();
    }
  }
  const middle = (usages: Usage[]) => mapParts((part) => median(usages.map((usage) => usage[part])));
  return { name, loaded: middle(loaded), called: middle(called) };
};

const measureNothing = async (folder: string): Promise<Row> => {
  const archive = join(folder, 'nothing.zip');
  const code = 'export const handler = async () => ({ statusCode: 200 });';
  writeFileSync(archive, zipSync({ 'nothing.mjs': new TextEncoder().encode(code) }));
  return measure('nothing', () => startLambda({ archive, handler: 'nothing.handler', environment: {} }), {});
};

/** Creates the items that the events refer to. @returns the events' values */
const prepare = async (cell: Cell): Promise<Record<string, string>> => {
  const call = async (key: string, values: Record<string, string> = {}) => {
    const lambda = await cell.start(key);
    const { result } = await lambda.invoke(readEvent(key, values), 60_000);
    await lambda.stop();
    return JSON.parse((result as { body?: string }).body ?? '{}');
  };
  await call('migrate');
  await call('signUp');
  const { accessToken } = await call('createToken');
  const { token } = await call('createApplication', { ACCESS_TOKEN: accessToken });
  const values = { ACCESS_TOKEN: accessToken, TOKEN: token };
  await call('createChat', values);
  await call('createMessage', values);
  return values;
};

const print = (nothing: Row, rows: Row[]): void => {
  const over = (usage: Usage, base: Usage) => parts.map((part) => (usage[part] - base[part]).toFixed(0));
  console.log(
    `an empty function: ${nothing.called.wallMs.toFixed(0)} ms, ${nothing.called.cpuMs.toFixed(0)} ms of processor, ${nothing.called.memoryMb.toFixed(0)} MB`,
  );
  console.log('over it           loading: wall  cpu   MB   first call: wall  cpu   MB');
  for (const { name, loaded, called } of rows) {
    const cells = [...over(loaded, nothing.loaded), ...over(called, nothing.called)];
    console.log(
      name.padEnd(25) + cells.map((cell, i) => cell.padStart(i % 3 === 0 ? (i === 0 ? 7 : 18) : 5)).join(''),
    );
  }
};

const folder = mkdtempSync(join(tmpdir(), 'chat-cold-'));
const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...machine } = process.env;
const stack = await startServices({
  stack: `bench-cold-${process.pid}`,
  environment: machine,
  report: terminalReport(process.stderr),
  fresh: true,
});
let cell: Cell | undefined;
try {
  await packageStages();
  const running = await startCell('dev', stack.urls);
  cell = running;
  const values = await prepare(running);
  const nothing = await measureNothing(folder);
  const rows: Row[] = [];
  for (const key of running.functionKeys)
    rows.push(await measure(key, () => running.start(key), readEvent(key, values)));
  rows.sort((a, b) => b.called.wallMs - a.called.wallMs);
  print(nothing, rows);
  if (process.argv.includes('--json')) console.log(JSON.stringify({ nothing, rows }));
} finally {
  await cell?.stop();
  await stack.stop();
  rmSync(folder, { recursive: true, force: true });
}
