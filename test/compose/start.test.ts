import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { pickPort, releasePort, serviceNames } from '../../local/services/index.ts';
import {
  type Account,
  Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
  signIn,
  signUp,
} from '../support/client.ts';
import { containersOf, docker, projectIn, remainsOf } from '../support/docker.ts';
import { eventually } from '../support/servers.ts';

/*
 * `npm start` on Docker Compose, from the first start to the removal of the data. It runs in a copy of this checkout: the
 * copy's Compose project, ports and data are its own, and a running `npm start` notices nothing.
 */

const checkout = resolve(import.meta.dirname, '../..');
const START_MS = 300_000;
const copied = [
  ...['functions', 'lib', 'plugins', 'local', 'infrastructure', 'migrations'],
  ...['package.json', 'serverless.yml', 'docker-compose.yml'],
];

type Message = { messageNumber: number; body: string; senderName: string; createdAt: string };

let folder: string;
let port: number;
let socketPort: number;
let start: ChildProcess | undefined;
let output = '';
let project = '';

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  ...{ MYSQL_URL: '', REDIS_URL: '', RABBITMQ_URL: '', OPENSEARCH_URL: '' },
  LOCAL_SERVICES: 'docker',
  PORT: `${port}`,
  WEBSOCKET_PORT: `${socketPort}`,
});

/** Settles when the API answers. */
const npmStart = async (): Promise<void> => {
  output = '';
  // A process group of its own, so that Ctrl-C can be sent as a terminal does it.
  const child = spawn(process.execPath, [join(folder, 'local/start.ts')], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  start = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await eventually(() => {
    if (child.exitCode === null) expect(output, output).toContain('The API is at');
  }, START_MS - 20_000);
  expect(child.exitCode, output).toBeNull();
  project = projectIn(output);
};

/** Ctrl-C at the terminal of `npm start`. @returns its exit code */
const interrupt = async (): Promise<number | null> => {
  const child = start;
  if (child?.pid === undefined) return null;
  const isRunning = child.exitCode === null && child.signalCode === null;
  const exited = isRunning ? once(child, 'exit') : undefined;
  process.kill(-child.pid, 'SIGINT');
  await exited;
  start = undefined;
  return child.exitCode;
};

const baseUrl = () => `http://127.0.0.1:${port}`;

/** What one user stored before the restart. */
const before: { account: Account; token: string; messages: Message[] } = {
  account: { name: '', email: '', password: '' },
  token: '',
  messages: [],
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'chat-compose-'));
  // As an ordinary checkout: other users may enter it.
  chmodSync(folder, 0o755);
  for (const name of copied) cpSync(join(checkout, name), join(folder, name), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  port = await pickPort(undefined);
  socketPort = await pickPort(undefined);
});

afterAll(async () => {
  await interrupt().catch(() => undefined);
  if (project !== '')
    await docker(['compose', '--project-name', project, 'down', '--volumes']).catch(() => undefined);
  releasePort(port);
  releasePort(socketPort);
  rmSync(folder, { recursive: true, force: true });
});

describe('npm start with Docker', () => {
  it(
    'starts a healthy container of each image that docker-compose.yml names, then serves the API',
    async () => {
      await npmStart();
      const file: { services: Record<string, { image: string }> } = parse(
        readFileSync(join(folder, 'docker-compose.yml'), 'utf8'),
      );
      const expected = serviceNames.map((name) => [
        name,
        { image: file.services[name]?.image, health: 'healthy' },
      ]);
      expect(await containersOf(project)).toEqual(Object.fromEntries(expected));
      expect((await new Client(baseUrl()).get('/health')).status).toBe(200);
      console.info(output.slice(output.indexOf('✓ the API answers')));
    },
    START_MS,
  );

  it('users sign up, sign in, and name an application', async () => {
    const { client, account } = await signUp(baseUrl(), 'Ada');
    const token = await createApplication(client, 'Kept');
    Object.assign(before, { account, token });
    expect((await client.put(`/applications/${token}`, { name: 'Kept over a restart' })).status).toBe(200);
    expect(await createChat(client, token, 'First')).toBe(1);
    expect(await createChat(client, token)).toBe(2);
    await eventually(async () => {
      expect((await client.get(`/applications/${token}`)).body).toMatchObject({
        token,
        name: 'Kept over a restart',
      });
      const chats = await client.get(`/applications/${token}/chats`);
      expect(chats.body).toMatchObject([{ chatNumber: 1, title: 'First' }, { chatNumber: 2 }]);
    });
  });

  it('messages are numbered, edited, listed and found', async () => {
    const client = new Client(baseUrl(), await signIn(baseUrl(), before.account));
    const path = messagesPath(before.token, 1);
    expect(await createMessage(client, before.token, 1, 'The quick brown fox')).toBe(1);
    expect(await createMessage(client, before.token, 1, 'jumps over the lazy dog')).toBe(2);
    expect((await client.put(`${path}/2`, { body: 'sleeps beside the lazy dog' })).status).toBe(200);
    const listed = await client.get<Message[]>(path);
    expect(
      listed.body.map(({ messageNumber, body, senderName }) => [messageNumber, body, senderName]),
    ).toEqual([
      [2, 'sleeps beside the lazy dog', 'Ada'],
      [1, 'The quick brown fox', 'Ada'],
    ]);
    expect((await client.get(`${path}/1`)).body).toEqual(listed.body[1]);
    await eventually(async () => {
      expect((await client.get(`${path}/search?q=sleeps`)).body).toMatchObject([{ messageNumber: 2 }]);
      const older = `/search?application_token=${before.token}&chat_number=1&body=fox`;
      expect((await client.get(older)).body).toMatchObject([{ messageNumber: 1 }]);
    });
    before.messages = (await client.get<Message[]>(path)).body;
  });

  it('Ctrl-C ends all containers, and keeps the volumes', async () => {
    expect(await interrupt()).toBe(0);
    expect(await remainsOf(project)).toEqual({
      containers: [],
      networks: [],
      volumes: serviceNames.map((name) => `${project}_${name}`).sort(),
    });
  }, 120_000);

  it(
    'the next start has all data, and continues to number after them',
    async () => {
      const known = project;
      await npmStart();
      expect(project).toBe(known);
      const client = new Client(baseUrl(), await signIn(baseUrl(), before.account));
      const path = messagesPath(before.token, 1);
      expect((await client.get<Message[]>(path)).body).toEqual(before.messages);
      expect((await client.get(`${path}/search?q=quick`)).body).toMatchObject([{ messageNumber: 1 }]);
      // Writes are refused until the restarted Redis is compared with MySQL.
      const third = await eventually(() => createMessage(client, before.token, 1, 'after the restart'));
      expect(third).toBe(3);
      expect(await createChat(client, before.token)).toBe(3);
    },
    START_MS,
  );

  it('docker compose down --volumes removes the data that Ctrl-C has kept', async () => {
    expect(await interrupt()).toBe(0);
    await docker(['compose', '--project-name', project, 'down', '--volumes']);
    expect(await remainsOf(project)).toEqual({ containers: [], networks: [], volumes: [] });
  }, 120_000);
});
