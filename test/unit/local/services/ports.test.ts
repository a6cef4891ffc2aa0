import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isFree, pickPort, releasePort } from '../../../../local/services/ports.ts';

const free = async () => true;

describe('pickPort', () => {
  it('takes the preferred port while it is free', async () => {
    expect(await pickPort(20_101, free)).toBe(20_101);
    releasePort(20_101);
  });

  it('takes another when the preferred one is taken', async () => {
    const port = await pickPort(
      20_102,
      async (tried) => tried !== 20_102,
      () => 0,
    );
    expect(port).toBe(20_000);
    releasePort(port);
  });

  it('stays below the ports of outgoing connections, and goes round at the end', async () => {
    const port = await pickPort(
      undefined,
      async (tried) => tried !== 31_999,
      () => 0.999_999,
    );
    expect(port).toBe(20_000);
    releasePort(port);
  });

  it('never gives one port twice before it is released, though nothing listens on it yet', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => pickPort(20_103, free, () => 0)));
    expect(new Set(ports).size).toBe(50);
    ports.forEach(releasePort);
  });

  it('keeps a port from other stacks as long as its process lives, whether or not it is listened on', async () => {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `const { pickPort } = await import('./local/services/ports.ts');
         console.log(await pickPort(20_104));
         setInterval(() => undefined, 1_000);`,
      ],
      { cwd: resolve(import.meta.dirname, '../../../..'), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = new Promise((done) => child.once('exit', done));
    try {
      const theirs = await new Promise<number>((done) => {
        child.stdout.once('data', (line) => done(Number(line)));
      });
      const ours = await pickPort(theirs, free, () => 0.5);
      expect(ours).not.toBe(theirs);
      releasePort(ours);
      child.kill('SIGKILL');
      await ended;
      expect(await pickPort(theirs, free)).toBe(theirs);
      releasePort(theirs);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('says so when no port is free', async () => {
    await expect(pickPort(undefined, async () => false)).rejects.toThrow(
      'No port between 20000 and 31999 is free',
    );
  });
});

describe('isFree', () => {
  it('distinguishes a port with a listener from a free one', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await isFree(port)).toBe(false);
    await new Promise((done) => server.close(done));
    expect(await isFree(port)).toBe(true);
  });
});
