import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { connect as connectRabbit } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type RunningService,
  type ServiceName,
  type Stack,
  type StartOptions,
  silentReport,
  startServices,
} from '../../local/services/index.ts';
import { probe } from '../../local/services/probes.ts';
import { ProcessRecord, startTimeOf } from '../../local/services/processes.ts';

const checkout = resolve(import.meta.dirname, '../..');
/** As on a developer's machine: nothing given. */
const environment = {
  ...process.env,
  MYSQL_URL: '',
  REDIS_URL: '',
  RABBITMQ_URL: '',
  OPENSEARCH_URL: '',
  LOCAL_SERVICES: 'process',
};

const stacks: Stack[] = [];
let count = 0;
const newName = () => {
  count += 1;
  return `test-services-${process.pid}-${count}`;
};
const start = async (options: Partial<StartOptions> = {}) => {
  const stack = await startServices({
    stack: newName(),
    environment,
    report: silentReport,
    fresh: true,
    ...options,
  });
  stacks.push(stack);
  return stack;
};
afterEach(async () => {
  for (const stack of stacks.splice(0)) {
    await stack.stop();
    rmSync(stack.folder, { recursive: true, force: true });
  }
});

const serviceOf = (stack: Stack, name: ServiceName): RunningService => {
  const service = stack.services[name];
  if (service === undefined) throw new Error(`${name} is not there`);
  return service;
};

/** Every process of a stack as it is recorded. */
const pidsOf = (stack: Stack): number[] => {
  const file = join(stack.folder, 'processes.json');
  if (!existsSync(file)) return [];
  const ids: { pid: number }[] = JSON.parse(readFileSync(file, 'utf8'));
  return ids.map(({ pid }) => pid);
};

/** One write and its read, for each kind of server. */
const marks: Record<
  ServiceName,
  { write(url: string): Promise<unknown>; read(url: string): Promise<unknown> }
> = {
  mysql: {
    write: async (url) => {
      const connection = await createConnection(url);
      await connection.query('CREATE TABLE mark (word VARCHAR(20))');
      await connection.query("INSERT INTO mark VALUES ('kept')");
      await connection.end();
    },
    read: async (url) => {
      const connection = await createConnection(url);
      const [rows] = await connection.query('SELECT word FROM mark');
      await connection.end();
      return rows;
    },
  },
  redis: {
    write: async (url) => {
      const redis = new Redis(url);
      await redis.set('mark', 'kept');
      redis.disconnect();
    },
    read: async (url) => {
      const redis = new Redis(url);
      const mark = await redis.get('mark');
      redis.disconnect();
      return mark;
    },
  },
  rabbitmq: {
    write: async (url) => {
      const connection = await connectRabbit(url);
      const channel = await connection.createConfirmChannel();
      channel.sendToQueue('mark', Buffer.from('kept'), { persistent: true });
      await channel.waitForConfirms();
      await connection.close();
    },
    read: async (url) => {
      const connection = await connectRabbit(url);
      const channel = await connection.createChannel();
      // The call below rejects with the same error.
      channel.on('error', () => undefined);
      const message = await channel.get('mark', { noAck: false });
      await connection.close();
      return message === false ? undefined : message.content.toString();
    },
  },
  opensearch: {
    write: (url) =>
      fetch(`${url}/mark/_doc/1?refresh=true`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ word: 'kept' }),
      }),
    read: async (url) => (await fetch(`${url}/mark/_source/1`)).json(),
  },
};

/**
 * Declares the queue that the mark of RabbitMQ goes to. RabbitMQ keeps a new queue in memory for a moment, and writes it
 * to its disk at the latest when it stops.
 */
const declareMark = async (rabbitmq: RunningService) => {
  const connection = await connectRabbit(rabbitmq.url);
  const channel = await connection.createChannel();
  // Classic: a quorum queue of RabbitMQ 3.10 finds no leader after a kill within seconds of its declaration.
  await channel.assertQueue('mark', { durable: true });
  await connection.close();
  await rabbitmq.stop();
  await rabbitmq.start();
};

describe('a whole stack', () => {
  it('answers, keeps its data through kill -9, freezes and wakes, and leaves nothing behind', async () => {
    const stack = await start();
    const services = Object.values(stack.services).filter((service) => service !== undefined);
    expect(services.map(({ version }) => version)).toEqual([
      expect.stringMatching(/^(MariaDB|MySQL) \d/),
      expect.stringMatching(/^(Redis|Valkey) \d/),
      expect.stringMatching(/^RabbitMQ \d/),
      // Where no Java 21 is, OpenSearch is not there, and the rest is.
      ...(stack.services.opensearch === undefined ? [] : [expect.stringMatching(/^OpenSearch \d/)]),
    ]);
    for (const { url } of services) expect(Number(new URL(url).port)).toBeLessThan(32_768);
    const urls = { ...stack.urls };

    await declareMark(serviceOf(stack, 'rabbitmq'));
    await Promise.all(services.map(({ name, url }) => marks[name].write(url)));
    const killed = services.map(({ pid }) => pid ?? 0);
    await Promise.all(
      services.map(async (service) => {
        service.kill('SIGKILL');
        await expect(probe(service.name, service.url)).rejects.toThrow();
        await service.start();
        expect(await marks[service.name].read(service.url)).toEqual(
          service.name === 'mysql'
            ? [{ word: 'kept' }]
            : service.name === 'opensearch'
              ? { word: 'kept' }
              : 'kept',
        );
      }),
    );
    for (const pid of killed) expect(startTimeOf(pid)).toBeUndefined();
    expect(services.map(({ url }) => url)).toEqual(Object.values(urls));

    const redis = serviceOf(stack, 'redis');
    redis.pause();
    await expect(probe('redis', redis.url)).rejects.toThrow();
    redis.resume();
    expect(await marks.redis.read(redis.url)).toBe('kept');
    // It runs already.
    await redis.start();

    const pids = pidsOf(stack);
    expect(pids).toEqual(expect.arrayContaining(services.map(({ pid }) => pid)));
    await stack.stop();
    for (const pid of pids) expect(startTimeOf(pid)).toBeUndefined();
    expect(existsSync(stack.folder)).toBe(false);
  }, 240_000);
});

describe('one server', () => {
  it('begins empty after its data were wiped, on the same port', async () => {
    const stack = await start({ only: ['redis'] });
    const redis = serviceOf(stack, 'redis');
    await marks.redis.write(redis.url);
    await expect(redis.wipe()).rejects.toThrow('redis is running');
    await redis.stop();
    await redis.wipe();
    await redis.start();
    expect(await marks.redis.read(redis.url)).toBeNull();
  });

  it('keeps port, password and data from one run to the next', async () => {
    const name = newName();
    const first = await start({ stack: name, only: ['redis'], fresh: false });
    await marks.redis.write(first.urls.REDIS_URL);
    await first.stop();
    const second = await start({ stack: name, only: ['redis'], fresh: false });
    expect(second.urls.REDIS_URL).toBe(first.urls.REDIS_URL);
    expect(await marks.redis.read(second.urls.REDIS_URL)).toBe('kept');
  });

  it('takes another port when its own was taken meanwhile', async () => {
    const name = newName();
    const first = await start({ stack: name, only: ['redis'], fresh: false });
    await first.stop();
    const port = Number(new URL(first.urls.REDIS_URL).port);
    const other = createServer();
    await new Promise<void>((done) => other.listen(port, '127.0.0.1', done));
    const second = await start({ stack: name, only: ['redis'], fresh: false });
    expect(new URL(second.urls.REDIS_URL).port).not.toBe(`${port}`);
    await new Promise((done) => other.close(done));
  });
});

describe('faults of the setup', () => {
  it('a second start of the same stack says who runs it', async () => {
    const name = newName();
    await start({ stack: name, only: ['redis'] });
    await expect(start({ stack: name, only: ['redis'] })).rejects.toThrow(
      `It is already running in this checkout: process ${process.pid}`,
    );
  });

  it('a server that does not come up: its log is shown, and the others are ended', async () => {
    const name = newName();
    const first = await start({ stack: name, only: ['redis'], fresh: false });
    await first.stop();
    const broken = join(first.folder, 'redis/data/appendonlydir/appendonly.aof.manifest');
    writeFileSync(broken, 'broken\n');
    const second = start({ stack: name, only: ['redis', 'mysql'], fresh: false });
    await expect(second).rejects.toThrow(
      /redis ended while it was starting[\s\S]*output\.log[\s\S]*manifest/,
    );
    expect(pidsOf(first)).toEqual([]);
    expect(existsSync(join(first.folder, 'lock.json'))).toBe(false);
  });

  it('an interrupted start leaves nothing running', async () => {
    const name = newName();
    const stopped = new AbortController();
    const starting = start({
      stack: name,
      only: ['redis', 'mysql', 'rabbitmq'],
      fresh: false,
      signal: stopped.signal,
    });
    const folder = resolve(join((await start({ only: ['redis'] })).folder, '..', name));
    stacks.push({ ...(stacks[0] as Stack), folder, stop: async () => undefined });
    stopped.abort(new Error('interrupted'));
    await expect(starting).rejects.toThrow('interrupted');
    expect(existsSync(join(folder, 'processes.json'))).toBe(false);
  });

  it('ends the servers of a killed run, and no other process that has their ids now', async () => {
    const name = newName();
    const first = await start({ stack: name, only: ['redis'], fresh: false });
    await first.stop();
    const left = spawn('sleep', ['60'], { stdio: 'ignore' });
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    const record = new ProcessRecord(first.folder);
    record.add('left', left.pid ?? 0);
    record.add('stranger', stranger.pid ?? 0);
    const file = join(first.folder, 'processes.json');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(
        `"startTime":"${startTimeOf(stranger.pid ?? 0)}"}]`,
        '"startTime":"1"}]',
      ),
    );
    const ended = once(left, 'exit');
    await start({ stack: name, only: ['redis'], fresh: false });
    await ended;
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill();
  });

  it('npm start on a taken port says so before it starts anything', async () => {
    const other = createServer();
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const child = spawn(process.execPath, [join(checkout, 'local/start.ts')], {
      env: { ...environment, PORT: `${port}` },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    const [code] = await once(child, 'close');
    await new Promise((done) => other.close(done));
    expect(code).toBe(1);
    // Or this checkout's own npm start, which then holds its stack.
    expect(output).toMatch(new RegExp(`Port ${port} is taken|It is already running in this checkout`));
    expect(output).not.toContain('✓');
  });
});

describe('a server that the environment gives', () => {
  it('is used as it is, and keeps running when the stack stops', async () => {
    const owner = await start({ only: ['redis'] });
    const guest = await start({
      only: ['redis'],
      environment: { ...environment, REDIS_URL: owner.urls.REDIS_URL },
    });
    const redis = serviceOf(guest, 'redis');
    expect(redis).toMatchObject({ kind: 'url', url: owner.urls.REDIS_URL });
    expect(redis.where).toContain('REDIS_URL');
    expect(() => redis.kill('SIGKILL')).toThrow('not ours');
    await guest.stop();
    expect(await probe('redis', owner.urls.REDIS_URL)).toMatch(/^(Redis|Valkey) /);
  });

  it('is named when it does not answer', async () => {
    const given = { ...environment, REDIS_URL: 'redis://:secret@127.0.0.1:1' };
    const starting = start({ only: ['redis'], environment: given });
    await expect(starting).rejects.toThrow(/REDIS_URL is set, and 127\.0\.0\.1:1 does not answer as redis/);
    await expect(starting).rejects.not.toThrow('secret');
  });

  it('all malformed URLs are named at once, before anything starts', async () => {
    const given = { ...environment, REDIS_URL: 'localhost:6379', MYSQL_URL: 'mysql://host' };
    await expect(start({ environment: given })).rejects.toThrow(
      /MYSQL_URL names no database[\s\S]*REDIS_URL begins/,
    );
  });
});
