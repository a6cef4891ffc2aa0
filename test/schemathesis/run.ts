import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { routes } from '#lib/contracts/index.ts';
import { runBench } from '../../bench/stack.ts';
import { Failure } from '../../local/services/index.ts';
import { signUp } from '../support/client.ts';

const checkout = resolve(import.meta.dirname, '../..');
const folder = join(checkout, '.data/schemathesis');
const requirements = join(import.meta.dirname, 'requirements.txt');
const configFile = join(folder, 'schemathesis.toml');
const program = join(folder, 'venv/bin/schemathesis');
const run = promisify(execFile);

/**
 * Of each operation and phase. The examples are the same in every run and on every machine: a limit of time would let a
 * faster machine try more.
 */
const MAX_EXAMPLES = 10;
/** A run needs less than a minute on two idle processors. */
const MAX_MINUTES = 10;

const messages = '/applications/{token}/chats/{chatNumber}/messages';

/** Operations for which a check is wrong, with the reason. The check stays on for all other operations. */
const exclusions: { check: string; reason: string; operations: string[] }[] = [
  {
    check: 'positive_data_acceptance',
    reason:
      'OpenAPI cannot say that page times limit is bounded, or that a cursor excludes page, or that a search needs q or sender.',
    operations: [
      'GET /applications',
      `GET ${messages}`,
      `GET ${messages}/search`,
      'GET /applications/{token}/messages/search',
      'GET /search',
    ],
  },
  {
    check: 'positive_data_acceptance',
    reason: 'JSON Schema cannot say that createdAt is at most 24 hours from now.',
    operations: [`POST ${messages}`],
  },
  {
    check: 'positive_data_acceptance',
    reason: 'The document does not list the common passwords that sign-up refuses.',
    operations: ['POST /users'],
  },
  {
    check: 'ensure_resource_availability',
    reason: 'A new parent does not contain each number that the check asks for, so that 404 is right.',
    operations: [
      ...['GET', 'PUT', 'DELETE'].map((method) => `${method} /applications/{token}/chats/{chatNumber}`),
      ...['GET', 'POST', 'PUT'].map((method) => `${method} ${messages}`),
      ...['GET', 'PUT', 'DELETE'].map((method) => `${method} ${messages}/{messageNumber}`),
      `GET ${messages}/search`,
      'GET /search',
    ],
  },
  {
    check: 'unsupported_method',
    reason: 'Without a token, other methods of the path get 401 before 405.',
    operations: ['POST /users'],
  },
];

/**
 * The default of the check, and 410, 412 and 422: the tests make up a place in a feed and an `If-Match`, and repeat an
 * `Idempotency-Key` with another body.
 */
const acceptedStatuses = ['2xx', '3xx', '401', '403', '404', '409', '410', '412', '422', '429', '5xx'];

/** A busy machine may answer 503 with `Retry-After`, as the document says. Every other 5xx is a finding. */
const noServerError = ['2xx', '3xx', '4xx', '503'];

/** The configuration of Schemathesis: https://schemathesis.readthedocs.io/en/stable/reference/configuration/ */
const configuration = (): string => {
  const operations = new Set(exclusions.flatMap((exclusion) => exclusion.operations));
  return [
    `checks.positive_data_acceptance.expected-statuses = ${JSON.stringify(acceptedStatuses)}`,
    `checks.not_a_server_error.expected-statuses = ${JSON.stringify(noServerError)}`,
    ...[...operations].flatMap((operation) => [
      '[[operations]]',
      `include-name = ${JSON.stringify(operation)}`,
      ...exclusions
        .filter((exclusion) => exclusion.operations.includes(operation))
        .map(({ check }) => `checks.${check}.enabled = false`),
    ]),
  ].join('\n');
};

/**
 * Makes the virtual environment once, and again when a pinned version changes.
 * @throws an Error without Python 3 or its package index
 */
const install = async (): Promise<void> => {
  const installed = join(folder, 'requirements.txt');
  const isSame =
    existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(requirements, 'utf8');
  if (isSame && existsSync(program)) return;
  mkdirSync(folder, { recursive: true });
  await run('python3', ['-m', 'venv', '--clear', join(folder, 'venv')]);
  await run(join(folder, 'venv/bin/python'), [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '10'],
    ...['--requirement', requirements],
  ]);
  copyFileSync(requirements, installed);
};

/** The part of the report that is counted. */
type Findings = { operations: { selected: number; errored: number }; failures: { operations: string[] }[] };
type Count = { passed: number; failed: number };

/**
 * All phases and checks over the served document.
 * @returns the operations without and with a finding. A run that ends otherwise counts as one more failure.
 */
const test = async (api: URL, name: string, headers: string[]): Promise<Count> => {
  const reportFile = join(folder, `${name.replaceAll(' ', '-')}.json`);
  rmSync(reportFile, { force: true });
  const child = spawn(
    program,
    [
      ...['--config-file', configFile, 'run', new URL('/openapi.json', api).href],
      ...['--mode', 'all', '--phases', 'examples,coverage,fuzzing,stateful'],
      ...['--max-examples', `${MAX_EXAMPLES}`, '--generation-deterministic'],
      // These are about the speed of the machine.
      ...['--suppress-health-check', 'too_slow', '--request-timeout', '60'],
      // Two threads that parse Python at a time end in a SystemError on Python 3.11 (github.com/python/cpython/issues/106905).
      ...['--workers', '1', '--continue-on-failure', '--no-color'],
      ...['--report', 'json', '--report-json-path', reportFile],
      ...headers.flatMap((header) => ['--header', header]),
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], timeout: MAX_MINUTES * 60_000 },
  );
  const [code] = await once(child, 'exit');
  if (!existsSync(reportFile)) return { passed: 0, failed: 1 };
  const { operations, failures }: Findings = JSON.parse(readFileSync(reportFile, 'utf8'));
  const found = new Set(failures.flatMap((failure) => failure.operations)).size + operations.errored;
  const failed = code === 0 ? found : Math.max(1, found);
  return { passed: operations.selected - failed, failed };
};

/** Prints the sum, and writes it in the form of vitest's JSON report if SCHEMATHESIS_RESULTS names a file. */
const tell = ({ passed, failed, skipped }: Count & { skipped: number }): void => {
  const results = process.env.SCHEMATHESIS_RESULTS;
  const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped };
  if (results) writeFileSync(results, JSON.stringify(counts));
  const sum = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  process.stdout.write(`Schemathesis: operations with and without a token: ${sum}\n`);
};

const testBoth = async (api: URL): Promise<void> => {
  const { client } = await signUp(api.origin, 'Schemathesis');
  writeFileSync(configFile, configuration());
  for (const { check, reason, operations } of exclusions)
    process.stdout.write(`Excluded: ${check} for ${operations.join(', ')}. ${reason}\n`);
  const withToken = await test(api, 'with a token', [`Authorization: Bearer ${client.accessToken}`]);
  const without = await test(api, 'without a token', []);
  const failed = withToken.failed + without.failed;
  tell({ passed: withToken.passed + without.passed, failed, skipped: 0 });
  if (failed > 0) throw new Failure('Schemathesis has findings.');
};

try {
  await install();
} catch (error) {
  // This is no finding of ours. The sum shows that nothing was tested.
  console.error('Schemathesis cannot be installed on this machine:', error);
  tell({ passed: 0, failed: 0, skipped: 2 * Object.keys(routes).length });
  process.exit(0);
}
// The limits of one client are tested elsewhere, and would end these runs early.
for (const name of ['SIGN_UP', 'SIGN_IN', 'BAD_TOKENS', 'READS', 'WRITES'])
  process.env[`LIMIT_${name}`] = '0';
await runBench({ withApi: true }, ({ api }) => testBoth(api));
