/**
 * Measures the system on servers of its own, and prints one table. See bench/README.md.
 *
 *   npm run bench [-- <section>… --json <file> --markdown <file> --minutes 2 --chats 1000000 --erased 1000000 --large]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { beforeRun } from './outputs.ts';
import { beginResults } from './results.ts';
import type { Row } from './row.ts';
import type { Options } from './section.ts';
import { groupsOf, type SectionName } from './sections/index.ts';

const DEFAULT_STEADY_SECONDS = 40;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    markdown: { type: 'string' },
    minutes: { type: 'string' },
    chats: { type: 'string', default: '10000' },
    erased: { type: 'string', default: '100000' },
    large: { type: 'boolean', default: false },
  },
});
const options: Options = {
  steadySeconds: values.minutes === undefined ? DEFAULT_STEADY_SECONDS : Number(values.minutes) * 60,
  chats: Number(values.chats),
  erased: Number(values.erased),
  grownTo: values.large ? 1_000_000 : 100_000,
};

/** A process for each group: a fresh heap, and code that is compiled for its own work. */
const runGroup = async (names: readonly SectionName[]): Promise<{ rows: Row[]; failed: boolean }> => {
  const child = fork(join(import.meta.dirname, 'section-process.ts'), [JSON.stringify(options), ...names]);
  const rows: Row[] = [];
  child.on('message', (part: Row[]) => rows.push(...part));
  const [code] = await once(child, 'exit');
  return { rows, failed: code !== 0 };
};

// The terminal sends Ctrl-C to the child as well, which then ends its servers.
process.on('SIGINT', () => undefined);
const results = beforeRun(() =>
  beginResults({ command: 'bench', json: values.json, markdown: values.markdown }),
);
const rows: Row[] = [];
let failed = false;
for (const names of groupsOf(positionals)) {
  const group = await runGroup(names);
  rows.push(...group.rows);
  failed ||= group.failed;
  if (group.failed) break;
}
results.publish(rows, options, !failed);
process.exit(failed ? 1 : 0);
