import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createApplication, createChat, createMessage } from '../support/client.ts';
import { lastEvents } from '../support/event-file.ts';
import { createUser, eventually, invoke, query } from '../support/servers.ts';

const root = resolve(import.meta.dirname, '../..');
const fileOf = (key: string) => `test/events/${key}.json`;

type Answer = { statusCode?: number; body?: unknown; errorMessage?: string } | null;
let values: Record<string, string>;

/** As a person calls it: a process of its own, `${NAME}` in the event filled from the environment. */
const byCommand = async (key: string): Promise<Answer> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      join(root, 'node_modules/serverless/bin/serverless.js'),
      'invoke',
      'local',
      '-f',
      key,
      '-p',
      fileOf(key),
    ],
    {
      cwd: root,
      env: { ...process.env, ...inject('functionEnvironment'), ...values, SLS_TELEMETRY_DISABLED: '1' },
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  // What the function logs comes before its answer, which begins on a line of its own.
  return JSON.parse(/^\{\n[\s\S]*^\}$/m.exec(stdout)?.[0] ?? 'null');
};

/** By the Lambda API of the running service, which takes a fraction of the time. */
const byApi = (key: string): Promise<Answer> =>
  invoke(
    key,
    JSON.parse(
      readFileSync(join(root, fileOf(key)), 'utf8').replaceAll(
        /\$\{(\w+)\}/g,
        (_placeholder, name: string) => values[name] ?? '',
      ),
    ),
  );

/** One of each kind of event goes by the command. */
const waysOf = (key: string) =>
  ['getChat', 'createChat', 'persistApplication', 'syncCounts', 'migrate'].includes(key)
    ? (['byCommand', 'byApi'] as const)
    : (['byApi'] as const);

const first = ['signUp', 'persistApplication', 'persistChat', 'persistMessage'];
const events = readdirSync(join(root, 'test/events')).map((file) => basename(file, '.json'));
const others = events.filter((key) => !first.includes(key) && !lastEvents.includes(key));
const inOrder = [...first, ...others, ...lastEvents.filter((key) => events.includes(key))];

beforeAll(async () => {
  // Commands name the first user of a fresh database.
  await query(
    `INSERT IGNORE INTO users (id, name, email, password, created_at)
     VALUES (1, 'First', 'first@example.org', 'nobody signs in with this', NOW(3))`,
  );
  const { client } = await createUser('Ada');
  const token = await createApplication(client);
  await createChat(client, token);
  await createMessage(client, token, 1, 'hello');
  await createChat(client, token, 'Deleted');
  const deletedToken = await createApplication(client);
  values = { ACCESS_TOKEN: client.accessToken ?? '', TOKEN: token, DELETED_TOKEN: deletedToken };
});

const bodies: Record<string, object> = {
  signUp: { name: 'Ada Lovelace', email: 'ada@example.org' },
  createToken: { accessToken: expect.any(String), tokenType: 'Bearer', expiresIn: 3600 },
  createApplication: { token: expect.any(String) },
  updateApplication: {},
  updateChat: {},
  deleteApplication: {},
  deleteChat: {},
  createChat: { chatNumber: expect.any(Number) },
  createMessage: { messageNumber: expect.any(Number) },
  getHealth: { status: 'ok' },
  getOpenapi: { openapi: expect.any(String) },
};
const isConsumer = (key: string) =>
  key.startsWith('persist') || key === 'indexMessage' || key === 'pushEvents';

describe.each(inOrder)('the event of %s', (key) => {
  it.each(waysOf(key))('is answered as it says: %s', async (way) => {
    const answer = await (way === 'byCommand' ? byCommand(key) : byApi(key));
    if (isConsumer(key)) {
      expect(answer).toBeNull();
      return;
    }
    expect(answer).not.toBeNull();
    expect(answer?.errorMessage).toBeUndefined();
    if (answer?.statusCode === undefined) return;
    expect(answer.statusCode, JSON.stringify(answer)).toBe(key === 'rejectUnknownRoute' ? 404 : 200);
    const body: unknown =
      typeof answer.body === 'string' && key !== 'getDocs' ? JSON.parse(answer.body) : answer.body;
    if (bodies[key] !== undefined) expect(body).toMatchObject(bodies[key]);
  });
});

it.each([
  ['getHealth', '{}', 'Not an event of an HTTP API'],
  ['listMessages', '{"httpMethod":"GET","headers":{}}', 'Not an event of an HTTP API'],
  ['persistChat', '{"Records":[]}', 'Not an event of Amazon MQ'],
  ['indexMessage', '{}', 'Not an event of Amazon MQ'],
])('an event of another kind is refused in one line: %s %s', async (key, data, fault) => {
  const args = [
    join(root, 'node_modules/serverless/bin/serverless.js'),
    'invoke',
    'local',
    '-f',
    key,
    '-d',
    data,
  ];
  const env = { ...process.env, ...inject('functionEnvironment'), SLS_TELEMETRY_DISABLED: '1' };
  const run = promisify(execFile)(process.execPath, args, { cwd: root, env, timeout: 60_000 });
  const { code, stdout, stderr } = await run.then(
    () => expect.unreachable(),
    (error) => error,
  );
  const output = `${stdout}${stderr}`;
  expect(code).toBe(1);
  expect(output).toContain(`${key}: ${fault}`);
  expect(output).toContain('test/events/');
  expect(output).not.toMatch(/TypeError|ZodError|^ +at /m);
});

it('the commands among them have been written', async () => {
  const token = ['invoked-locally'];
  await eventually(async () => {
    expect(await query('SELECT name FROM applications WHERE token = ?', token)).toEqual([
      { name: 'Invoked locally, renamed' },
    ]);
    expect(await query('SELECT body FROM messages WHERE token = ?', token)).toEqual([
      { body: 'Hello from a command, edited' },
    ]);
  });
  const shown = await invoke('deadLetters', { action: 'list' });
  expect(JSON.stringify(shown)).not.toContain('invoked-locally');
});
