import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Stack } from '../../local/services/index.ts';
import { docker, projectIn } from './docker.ts';

/** Runs RabbitMQ's own command on the broker of a stack: in its container, or as a process beside it. */
export const rabbitmqctl = async ({ services, folder }: Stack, ...args: string[]): Promise<void> => {
  const { rabbitmq } = services;
  if (rabbitmq?.kind === 'docker') {
    const project = projectIn(rabbitmq.where);
    await docker(['compose', '--project-name', project, 'exec', '-T', 'rabbitmq', 'rabbitmqctl', ...args]);
    return;
  }
  const state: { ports: Record<string, number> } = JSON.parse(
    await readFile(join(folder, 'state.json'), 'utf8'),
  );
  const cookie = await readFile(join(folder, 'rabbitmq/.erlang.cookie'), 'utf8');
  await promisify(execFile)(
    '/usr/lib/rabbitmq/bin/rabbitmqctl',
    ['--erlang-cookie', cookie, '-n', 'rabbit@localhost', ...args],
    {
      cwd: '/',
      timeout: 60_000,
      env: {
        PATH: process.env.PATH,
        LANG: 'C.UTF-8',
        HOME: '/',
        ERL_EPMD_PORT: String(state.ports['rabbitmq-epmd']),
      },
    },
  );
};
