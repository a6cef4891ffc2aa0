import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { SystemStatus } from '#lib/upkeep/system-status.ts';
import { pushEvents } from '../../functions/consumers/push-events.ts';
import { reportMetrics } from '../../functions/scheduled/report-metrics.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const sources = ['lib', 'functions']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  )
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: read(path) }));

/** The text from `from` to the parenthesis that closes the first one behind it. */
const callAt = (text: string, from: number): string => {
  let depth = 0;
  for (let end = text.indexOf('(', from); end < text.length; end += 1) {
    if (text[end] === '(') depth += 1;
    if (text[end] === ')') depth -= 1;
    if (depth === 0) return text.slice(from, end + 1);
  }
  return text.slice(from);
};

// Lines of jobs need no case here: the type of `Job['log']` requires a code.
describe('a log line', () => {
  const calls = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/\blogger\.(?:debug|info|warn|error|critical)\(/g)].map(({ index }) => ({
      path,
      call: callAt(text, index),
    })),
  );

  it.each(calls)('of $path has a code or passes the facts of a job on', ({ call }) => {
    expect(call).toMatch(/\bcode: |, facts\)/);
  });

  it('is found by this test', () => {
    expect(calls.length).toBeGreaterThan(5);
  });
});

it.each(['docs/operations.md', 'docs/security.md'])('every code in %s is in the sources', (page) => {
  const named = new Set([...read(page).matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, code]) => code));
  const missing = [...named].filter((code) => !sources.some(({ text }) => text.includes(`'${code}'`)));
  expect(named).toContain(page === 'docs/security.md' ? 'sign-in-refused' : 'unexpected-error');
  expect(missing).toEqual([]);
});

it.each([
  'server errors',
  'consumer errors',
  'schedule errors',
  'dead letters',
  'oldest command',
  'gate',
  'index lag',
])('the section of the alarm "%s" names the code of a log line', (name) => {
  const [, section = ''] = read('docs/operations.md').split(`### Alarm: ${name}\n`);
  expect(section.split('\n### ')[0]).toMatch(/`[a-z]+(?:-[a-z]+)+`/);
});

it('reportMetrics and pushEvents write every metric of the service that an alarm watches', async () => {
  type Alarm = { Type: string; Properties: { Namespace?: string; MetricName?: string } };
  const { Resources }: { Resources: Record<string, Alarm> } = parse(read('infrastructure/alarms.yml'));
  const watched = Object.values(Resources).flatMap(({ Properties: { Namespace, MetricName } = {} }) =>
    MetricName !== undefined && Namespace?.includes('self:service') ? [MetricName] : [],
  );
  const status: SystemStatus = {
    gate: 'open',
    oldestCommandSeconds: 1,
    indexLagSeconds: 1,
    signals: 0,
    queues: [{ queue: 'create-chat', ready: 0, retry: 0, dead: 0 }],
  };
  const lines: string[] = [];
  await reportMetrics(
    { log: () => undefined },
    {
      systemStatus: { read: async () => status },
      metricsNamespace: 'chat-test',
      now: () => 0,
      write: (line) => lines.push(line),
    },
  );
  await pushEvents([{ close: ['slow'], reason: 'restart' }], {
    posting: { close: async () => ({ gone: 0, slow: 1 }) },
    connections: { unauthenticatedAmong: async () => [] },
    metricsNamespace: 'chat-test',
    now: () => 0,
    write: (line) => lines.push(line),
  });
  const written = new Set(lines.flatMap((line) => Object.keys(JSON.parse(line))));
  expect(watched.length).toBeGreaterThan(4);
  expect(watched.filter((metric) => !written.has(metric))).toEqual([]);
});
