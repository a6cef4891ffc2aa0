import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/*
 * The servers of `npm start` in folders whose names programs like to misread. Each name but the first is the one that the
 * folder gets after a stop: the next start continues with all data.
 */

const checkout = resolve(import.meta.dirname, '../..');
const base = mkdtempSync(join(tmpdir(), 'chat-folders-'));
let folder = join(base, 'plain');

/** Counts one more start on each server, and prints the counts: rows, a key, and messages of a quorum queue. */
const countStart = `
  import { connect } from 'amqplib';
  import { Redis } from 'ioredis';
  import { createConnection } from 'mysql2/promise';
  import { silentReport, startServices } from './local/services/index.ts';
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...machine } = process.env;
  const stack = await startServices({
    stack: 'folders',
    environment: { ...machine, LOCAL_SERVICES: 'process' },
    report: silentReport,
    only: process.argv[2].split(','),
  });
  const { urls } = stack;
  const mysql = await createConnection(urls.MYSQL_URL);
  await mysql.query('CREATE TABLE IF NOT EXISTS starts (id INT AUTO_INCREMENT PRIMARY KEY)');
  await mysql.query('INSERT INTO starts VALUES ()');
  const [[{ rows }]] = await mysql.query('SELECT COUNT(*) AS \`rows\` FROM starts');
  await mysql.end();
  const redis = new Redis(urls.REDIS_URL);
  const key = await redis.incr('starts');
  redis.disconnect();
  const broker = await connect(urls.RABBITMQ_URL);
  const channel = await broker.createConfirmChannel();
  const options = { durable: true, arguments: { 'x-queue-type': 'quorum' } };
  await channel.assertQueue('starts', options);
  channel.sendToQueue('starts', Buffer.from('start'), { persistent: true });
  await channel.waitForConfirms();
  const { messageCount } = await channel.checkQueue('starts');
  await broker.close();
  const search = urls.OPENSEARCH_URL && (await fetch(urls.OPENSEARCH_URL)).status;
  const page = urls.OPENSEARCH_URL && (await fetch(urls.OPENSEARCH_URL + '/_all/_close', {
    method: 'POST', headers: { origin: 'https://evil.example' } })).status;
  await stack.stop();
  console.log(JSON.stringify({ rows, key, messageCount, search, page }));
  process.exit(0);
`;

const start = async (services = 'mysql,redis,rabbitmq') => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(folder, 'count-start.mjs'), services],
    {
      cwd: folder,
    },
  );
  return JSON.parse(stdout);
};
const rename = (name: string) => {
  const renamed = join(base, name);
  renameSync(folder, renamed);
  folder = renamed;
};

beforeAll(() => {
  chmodSync(base, 0o755);
  for (const name of ['local', 'lib', 'package.json'])
    cpSync(join(checkout, name), join(folder, name), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'count-start.mjs'), countStart);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe('the servers keep their data when their folder is renamed', () => {
  it('from a plain name', async () => {
    expect(await start()).toEqual({ rows: 1, key: 1, messageCount: 1 });
  });

  it.each([
    ['my chat ünï#1%20', 2],
    [`it's "quoted" $HOME`, 3],
    ['[x]{y}(z) &;|<>?', 4],
    ['日本語 👋 $HOME {prompt}', 5],
  ])('to %s', async (name, count) => {
    rename(name);
    expect(await start()).toEqual({ rows: count, key: count, messageCount: count });
  });

  it('to a plain one, also where queues have kept the path of an earlier version', async () => {
    const { stdout } = await promisify(execFile)('find', [
      join(folder, '.data'),
      '-path',
      '*/quorum/*/config',
    ]);
    const file = stdout.trim();
    const earlier = `${base}/long/${'x'.repeat(80)}`;
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replaceAll(
        /(data_dir =>\s*)"[^"]*"/g,
        `$1"${earlier.slice(0, 40)}"\n  "${earlier.slice(40)}"`,
      ),
    );
    rename('plain again');
    expect(await start()).toEqual({ rows: 6, key: 6, messageCount: 6 });
  });
});

describe('a first start', () => {
  it.each(['my chat ünï#1%20', `"$(touch x)" 'y' {z} \${w}`])('in %s brings all servers up', async (name) => {
    rename(name);
    rmSync(join(folder, '.data'), { recursive: true });
    // A page of another origin gets no answer from OpenSearch, and its request is not carried out.
    expect(await start('mysql,redis,rabbitmq,opensearch')).toEqual({
      rows: 1,
      key: 1,
      messageCount: 1,
      search: 200,
      page: 403,
    });
  });
});
