// Operations on a running system, from a terminal:
//   npm run dead-letters -- list|show|redrive|discard [queue] [--ids 1,2] [--limit n]
//   npm run reindex -- [--restart|--abandon]
//   npm run reconcile -- --sample 1000|--whole [--dry-run] [--remove-at-most n]
// They use the servers of the environment, else those of the running `npm start`.
import { parseArgs } from 'node:util';
import type { Context } from 'aws-lambda';
import * as z from 'zod';
import { createLambdaContext } from './emulation/lambda-context.ts';
import { findUrls } from './running.ts';
import { Failure, messageOf } from './services/index.ts';
import { timeLimits } from './time-limits.ts';

const usage = `Usage:
  npm run dead-letters -- list [queue]
  npm run dead-letters -- show <queue> [--ids 17,18]
  npm run dead-letters -- redrive [queue] [--ids 17,18]
  npm run dead-letters -- discard <queue> [--ids 17,18]
  npm run reindex -- [--restart | --abandon]
  npm run reconcile -- --sample 1000 | --whole [--dry-run] [--remove-at-most 1000]`;

/** Runs a function of `functions/` in this process. */
const invoke = async <Report>(
  load: () => Promise<{ handler: (event: unknown, context: Context) => Promise<unknown> }>,
  name: string,
  event: object,
): Promise<Report> => {
  const { handler } = await load();
  const report = await handler(event, createLambdaContext(name, timeLimits.operationMs));
  return report as Report;
};

const print = (value: unknown) => console.log(JSON.stringify(value, undefined, 2));

const readCount = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text))
    throw new Failure(`--${name} is "${text}". Expected a whole number from 1 up.`);
  return Number(text);
};

const deadLetters = async (args: string[]): Promise<void> => {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { ids: { type: 'string' }, limit: { type: 'string' } },
  });
  const [action = 'list', queue] = positionals;
  if (!['list', 'show', 'redrive', 'discard'].includes(action) || positionals.length > 2)
    throw new Failure(usage);
  const report = await invoke<Record<string, { held: number }>>(
    () => import('../functions/operations/dead-letters.ts'),
    'deadLetters',
    {
      action,
      ...(queue === undefined ? {} : { queue }),
      ...(values.ids === undefined ? {} : { ids: values.ids.split(',') }),
      ...(values.limit === undefined ? {} : { limit: readCount('limit', values.limit) }),
    },
  );
  const found = Object.entries(report).filter(([, { held }]) => held > 0);
  if (found.length === 0) console.log('No dead letters.');
  else print(Object.fromEntries(found));
};

const reindex = async (args: string[]): Promise<void> => {
  const { values } = parseArgs({
    args,
    options: { restart: { type: 'boolean' }, abandon: { type: 'boolean' } },
  });
  let action = values.abandon ? 'abandon' : values.restart ? 'restart' : 'continue';
  for (;;) {
    const report = await invoke<{ state: string }>(
      () => import('../functions/operations/reindex.ts'),
      'reindex',
      { action },
    );
    print(report);
    if (report.state !== 'stopped') return;
    action = 'continue';
  }
};

const reconcile = async (args: string[]): Promise<void> => {
  const { values } = parseArgs({
    args,
    options: {
      sample: { type: 'string' },
      whole: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      'remove-at-most': { type: 'string' },
    },
  });
  const removeAtMost = readCount('remove-at-most', values['remove-at-most']);
  const sample = values.whole ? 'whole' : (readCount('sample', values.sample) ?? 1_000);
  for (let cursor: object | undefined; ; ) {
    const report = await invoke<{ state: string; newer: number; cursor?: object }>(
      () => import('../functions/operations/reconcile.ts'),
      'reconcile',
      {
        sample,
        repair: !values['dry-run'],
        ...(removeAtMost === undefined ? {} : { removeAtMost }),
        ...(cursor === undefined ? {} : { cursor }),
      },
    );
    print(report);
    if (report.newer > 0)
      console.log(
        'What the index had newer than MySQL is removed. Run it once more in a minute to index it again.',
      );
    if (report.state === 'done' || report.cursor === undefined) return;
    cursor = report.cursor;
  }
};

const commands: Record<string, (args: string[]) => Promise<void>> = {
  'dead-letters': deadLetters,
  reindex,
  reconcile,
};

/** The message of a Zod or parseArgs error, without the stack. */
const lineOf = (error: unknown): string => {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${messageOf(error)}${cause}`;
};

try {
  const [name = '', ...args] = process.argv.slice(2);
  const command = commands[name];
  if (command === undefined) throw new Failure(usage);
  Object.assign(process.env, findUrls());
  // The configuration requires a secret, but no operation uses it.
  process.env.JWT_SECRET ||= 'not used by any operation of this command';
  await command(args);
  process.exit(0);
} catch (error) {
  console.error(lineOf(error));
  process.exit(1);
}
