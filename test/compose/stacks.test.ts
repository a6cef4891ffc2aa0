import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  probe,
  type RunningService,
  removeAbandonedStacks,
  type Stack,
  silentReport,
  startServices,
} from '../../local/services/index.ts';
import { projectIn, remainsOf, withRedis } from '../support/docker.ts';
import { eventually } from '../support/servers.ts';

/* Stacks on Docker as tests start them: with data of their own, which nobody finds afterwards. */

const nothing = { containers: [], networks: [], volumes: [] };
const environment = { ...process.env, REDIS_URL: '', LOCAL_SERVICES: 'docker' };
const stacks: Stack[] = [];
const start = async (name: string, fresh: boolean) => {
  const stack = await startServices({
    stack: `test-compose-${process.pid}-${name}`,
    environment,
    report: silentReport,
    only: ['redis'],
    fresh,
  });
  stacks.push(stack);
  return stack;
};
afterEach(async () => {
  for (const stack of stacks.splice(0)) await stack.stop();
});

const redisOf = (stack: Stack): RunningService => {
  const { redis } = stack.services;
  if (redis === undefined) throw new Error('There is no Redis');
  return redis;
};

/** A process of its own that starts a stack of this checkout and waits. @returns it and the project, once it is up */
const startInProcess = async (name: string): Promise<{ child: ChildProcess; project: string }> => {
  const services = join(resolve(import.meta.dirname, '../..'), 'local/services/index.ts');
  const code = `
    import { silentReport, startServices } from ${JSON.stringify(services)};
    const stack = await startServices({
      stack: ${JSON.stringify(name)}, environment: process.env, report: silentReport, only: ['redis'], fresh: true,
    });
    console.log(stack.services.redis.where);
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return { child, project: await eventually(() => projectIn(output), 120_000) };
};

describe('a stack on Docker', () => {
  it('keeps port, password and data from one start to the next, and removes temporary data', async () => {
    const first = await start('restart', false);
    const { url } = redisOf(first);
    const project = projectIn(redisOf(first).where);
    await withRedis(url, (redis) => redis.set('mark', 'kept'));
    await first.stop();
    expect(await remainsOf(project)).toEqual({ ...nothing, volumes: [`${project}_redis`] });
    const second = await start('restart', true);
    expect(redisOf(second).url).toBe(url);
    expect(await withRedis(url, (redis) => redis.get('mark'))).toBe('kept');
    await second.stop();
    expect(await remainsOf(project)).toEqual(nothing);
  });

  it('does not answer while it is frozen, nor after a kill, and answers after its start', async () => {
    const redis = redisOf(await start('faults', true));
    redis.pause();
    await expect(probe('redis', redis.url)).rejects.toThrow();
    redis.resume();
    expect(await probe('redis', redis.url)).toBe(redis.version);
    redis.kill('SIGKILL');
    await expect(probe('redis', redis.url)).rejects.toThrow();
    await redis.start();
    expect(await probe('redis', redis.url)).toBe(redis.version);
  });

  it('of a killed run is removed by the next one', async () => {
    const name = `test-compose-killed-${process.pid}`;
    const { child, project } = await startInProcess(name);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect((await remainsOf(project)).containers).toHaveLength(1);
    await removeAbandonedStacks(name);
    expect(await remainsOf(project)).toEqual(nothing);
  });
});
