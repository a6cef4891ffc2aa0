import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';
import { silentReport } from '../../local/services/index.ts';
import { noFindings } from '../chaos/audit.ts';
import { faults } from '../chaos/faults.ts';
import { shortPace } from '../chaos/pace.ts';
import { Arena } from '../chaos/round.ts';
import { System } from '../chaos/system.ts';
import {
  type Client,
  createApplication,
  createChat,
  createMessage,
  messagesPath,
  signUp,
} from '../support/client.ts';
import { docker, projectIn } from '../support/docker.ts';
import { eventually } from '../support/servers.ts';

/*
 * Faults of containers: `docker compose kill`, `pause` and a removed volume, under the writers and readers of the chaos
 * rounds. After each, an audit compares what clients were told with what the servers hold.
 */

const names = [
  ...['kill-mysql', 'kill-redis', 'kill-rabbitmq', 'kill-opensearch'],
  ...['pause-mysql', 'pause-redis', 'pause-rabbitmq', 'pause-opensearch'],
  ...['wipe-redis', 'wipe-rabbitmq', 'wipe-opensearch', 'restart-all', 'rabbitmq-alarm'],
];
const seed = Date.now() % 1_000_000;
let system: System;
let arena: Arena;
let keepLog = false;

beforeAll(async () => {
  system = await System.start(silentReport, { way: 'docker' });
  arena = new Arena(system, { seed, say: () => undefined });
}, 400_000);

afterAll(async () => {
  await system?.stop({ keepLog });
}, 120_000);

const keepLogOnFailure = () =>
  onTestFailed(() => {
    keepLog = true;
    console.error(`seed ${seed}; what the functions logged: ${system.logFile}`);
  });

test.each(names)('nothing accepted is lost, no number is given twice: %s', async (name) => {
  keepLogOnFailure();
  const fault = faults.find((one) => one.name === name);
  if (fault === undefined) throw new Error(`There is no fault named ${name}`);
  const { findings, accepted, refused, secondsUntilWhole } = await arena.run(fault, shortPace);
  console.info(
    `${name}: accepted ${accepted}, refused ${refused}, whole again after ${secondsUntilWhole?.toFixed(1)} s`,
  );
  expect(findings).toEqual(noFindings());
  expect(secondsUntilWhole).toBeDefined();
  expect(accepted).toBeGreaterThan(0);
});

describe('a wiped MySQL, restored from a backup as docs/operations.md says', () => {
  let client: Client;
  let token: string;
  let backup: string;

  /** Runs a client of MySQL in its container. The password stays in the container's environment. */
  const inMysql = async (command: string, input = ''): Promise<string> => {
    const project = projectIn(system.service('mysql').where);
    const shell = ['sh', '-c', `MYSQL_PWD=$MYSQL_ROOT_PASSWORD ${command}`];
    return docker(['compose', '--project-name', project, 'exec', '-T', 'mysql', ...shell], { input });
  };

  const storedBodies = async (): Promise<string> =>
    inMysql(`mysql --user=root --batch --skip-column-names chat --execute 'SELECT body FROM messages'`);

  beforeAll(async () => {
    ({ client } = await signUp(system.apiUrl, 'Ada'));
    token = await createApplication(client, 'Restored');
    await createChat(client, token);
    await createMessage(client, token, 1, 'before the backup');
    await eventually(async () => expect(await storedBodies()).toContain('before the backup'));
    backup = await inMysql('mysqldump --user=root --single-transaction --databases chat');
    await createMessage(client, token, 1, 'after the backup');
    await eventually(async () => expect(await storedBodies()).toContain('after the backup'));
  }, 120_000);

  test('without MySQL, recent messages are read and writes are accepted', async () => {
    keepLogOnFailure();
    const mysql = system.service('mysql');
    mysql.kill('SIGKILL');
    await mysql.stop();
    await mysql.wipe();
    expect((await client.get<{ body: string }[]>(messagesPath(token, 1))).body).toMatchObject([
      { body: 'after the backup' },
      { body: 'before the backup' },
    ]);
    expect(await createMessage(client, token, 1, 'without MySQL')).toBe(3);
  });

  test('what the backup has and what a queue has is kept, the rest is lost, and the numbers continue', async () => {
    keepLogOnFailure();
    await system.killApi();
    await system.service('mysql').start();
    await inMysql('mysql --user=root', backup);
    const redis = new Redis(system.service('redis').url);
    await redis.flushall();
    redis.disconnect();
    await system.startApi();
    await system.operate('scheduled/recover-counters');

    const path = messagesPath(token, 1);
    const fourth = await eventually(() => createMessage(client, token, 1, 'after the restore'), 60_000);
    expect(fourth).toBe(4);
    const kept = [
      { messageNumber: 4, body: 'after the restore' },
      { messageNumber: 3, body: 'without MySQL' },
      { messageNumber: 1, body: 'before the backup' },
    ];
    await eventually(async () => expect((await client.get(path)).body).toMatchObject(kept));
    expect((await client.get(`${path}/2`)).status).toBe(404);
    await eventually(async () => {
      // It skips messages of the last half minute.
      await system.operate('operations/reconcile', { sample: 'whole', removeAtMost: 1_000_000 });
      const found = await client.get<{ messageNumber: number }[]>(`${path}/search?q=backup`);
      expect(found.body.map(({ messageNumber }) => messageNumber)).toEqual([1]);
    }, 90_000);
  });
});
