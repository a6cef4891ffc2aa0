import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probe, type ServiceName, serviceNames } from '../../local/services/index.ts';
import { containersOf, projectByHand, remainsOf, withRedis } from '../support/docker.ts';

/* docker-compose.yml without this project's commands: `docker compose up --wait`, with the default passwords. */

const project = `chat-compose-${process.pid}-${randomBytes(4).toString('hex')}`;
type ByHand = Awaited<ReturnType<typeof projectByHand>>;
let one: ByHand;
let other: ByHand;

const urlOf: Record<ServiceName, (port: number) => string> = {
  mysql: (port) => `mysql://root:chat@127.0.0.1:${port}/chat`,
  redis: (port) => `redis://:chat@127.0.0.1:${port}`,
  rabbitmq: (port) => `amqp://chat:chat@127.0.0.1:${port}/chat`,
  opensearch: (port) => `http://127.0.0.1:${port}`,
};

const inRedis = <Result>(work: (redis: Redis) => Promise<Result>): Promise<Result> =>
  withRedis(urlOf.redis(one.port('redis')), work);

beforeAll(async () => {
  one = await projectByHand(project, serviceNames);
  other = await projectByHand(`${project}-other`, ['redis']);
});
afterAll(async () => {
  await Promise.allSettled([one?.compose('down', '--volumes'), other?.compose('down', '--volumes')]);
  one?.release();
  other?.release();
});

describe('docker compose by hand', () => {
  it('up --wait returns when every service is healthy and answers with the default passwords', async () => {
    await one.compose('up', '--detach', '--wait');
    const containers = await containersOf(project);
    expect(Object.values(containers).map(({ health }) => health)).toEqual(serviceNames.map(() => 'healthy'));
    const versions = await Promise.all(serviceNames.map((name) => probe(name, urlOf[name](one.port(name)))));
    for (const name of serviceNames) {
      expect(containers[name]?.image).toMatch(/^[a-z/]+:\d+\.\d+\.\d+$/);
    }
    console.info(`up by hand: ${versions.join(', ')}`);
  });

  it('a second project runs beside it, and its end leaves the first one alone', async () => {
    await inRedis((redis) => redis.set('mark', 'kept'));
    await other.compose('up', '--detach', '--wait', 'redis');
    expect(await probe('redis', urlOf.redis(other.port('redis')))).toMatch(/^Redis /);
    await other.compose('down', '--volumes');
    expect(await remainsOf(`${project}-other`)).toEqual({ containers: [], networks: [], volumes: [] });
    expect(await inRedis((redis) => redis.get('mark'))).toBe('kept');
  });

  it('down keeps the volumes, and the next up has their data', async () => {
    await one.compose('down');
    expect(await remainsOf(project)).toEqual({
      containers: [],
      networks: [],
      volumes: serviceNames.map((name) => `${project}_${name}`).sort(),
    });
    await one.compose('up', '--detach', '--wait', 'redis');
    expect(await inRedis((redis) => redis.get('mark'))).toBe('kept');
  });

  it('down --volumes leaves nothing', async () => {
    await one.compose('down', '--volumes');
    expect(await remainsOf(project)).toEqual({ containers: [], networks: [], volumes: [] });
  });
});
