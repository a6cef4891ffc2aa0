import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { during, runBench } from '../../bench/stack.ts';
import { Failure, type Report } from '../../local/services/index.ts';
import { signUp } from '../support/client.ts';

const checkout = resolve(import.meta.dirname, '../..');
const folder = join(checkout, '.data/schemathesis');
const requirements = join(import.meta.dirname, 'requirements.txt');
const program = join(folder, 'venv/bin/schemathesis');
const run = promisify(execFile);

/** For each of the two runs. */
const MAX_SECONDS = 45;

/** Checks that are left out, each with its reason. */
const excludedChecks: Record<string, string> = {
  positive_data_acceptance:
    'A schema cannot say all that a request must fit: createdAt ends 24 hours from now, a name shows something, a page does not skip more than a number of items, a cursor was given by this API.',
  ensure_resource_availability:
    'It takes a message that was never sent for a part of the chat that was just created: the 404 is right.',
};

/** Makes the virtual environment once, and again when the pinned version changes. */
const install = async (): Promise<void> => {
  const pinned = readFileSync(requirements, 'utf8').trim();
  if (existsSync(program)) {
    const { stdout } = await run(program, ['--version']);
    if (pinned.endsWith(`==${stdout.trim().split(' ').at(-1)}`)) return;
  }
  mkdirSync(folder, { recursive: true });
  await run('python3', ['-m', 'venv', '--clear', join(folder, 'venv')]);
  await run(join(folder, 'venv/bin/pip'), ['install', '--quiet', '--requirement', requirements]);
};

/** All phases and checks over the served document. @returns the exit code: 0 without a finding */
const test = async (api: URL, name: string, headers: string[]): Promise<number> => {
  const child = spawn(
    program,
    [
      ...[
        'run',
        new URL('/openapi.json', api).href,
        '--mode',
        'all',
        '--phases',
        'examples,coverage,fuzzing,stateful',
      ],
      ...['--max-time', `${MAX_SECONDS}`, '--workers', '2', '--continue-on-failure', '--no-color'],
      ...['--exclude-checks', Object.keys(excludedChecks).join(',')],
      ...['--report', 'json', '--report-json-path', join(folder, `${name}.json`)],
      ...headers.flatMap((header) => ['--header', header]),
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = await once(child, 'exit');
  return code ?? 1;
};

const testBoth = async (api: URL, report: Report): Promise<void> => {
  await during(report, 'installing Schemathesis', install);
  const { client } = await signUp(api.origin, 'Schemathesis');
  for (const [check, reason] of Object.entries(excludedChecks))
    process.stdout.write(`Left out: ${check}. ${reason}\n`);
  const failed: string[] = [];
  for (const [name, headers] of [
    ['with a token', [`Authorization: Bearer ${client.accessToken}`]],
    ['without a token', []],
  ] as [string, string[]][]) {
    if ((await test(api, name.replaceAll(' ', '-'), headers)) !== 0) failed.push(name);
  }
  process.stdout.write(`Schemathesis: ${2 - failed.length} passed, ${failed.length} failed\n`);
  if (failed.length > 0) throw new Failure(`Schemathesis has findings ${failed.join(' and ')}.`);
};

// The limits of one client are tested elsewhere, and would end these runs early.
for (const name of ['LIMIT_SIGN_UP', 'LIMIT_SIGN_IN', 'LIMIT_READS', 'LIMIT_WRITES']) process.env[name] = '0';
await runBench({ withApi: true }, ({ api, report }) => testBoth(api, report));
