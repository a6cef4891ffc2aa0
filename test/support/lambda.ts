import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';

export type Usage = { wallMs: number; cpuMs: number; memoryMb: number };
type Message = { ready?: true; result?: unknown; error?: string; usage: Usage };

const readyWithinMs = 30_000;

/** Unpacks an archive as Lambda does. @returns the folder */
const unpack = (archive: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'chat-lambda-'));
  for (const [name, bytes] of Object.entries(unzipSync(readFileSync(archive)))) {
    if (name.endsWith('/')) continue;
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
};

const nextMessage = async (child: ChildProcess, withinMs: number): Promise<Message> => {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(withinMs)]);
  const exited = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`The function ended (${code})`);
  });
  const answered = once(child, 'message', { signal });
  try {
    const [message]: Message[] = await Promise.race([answered, exited]);
    if (message === undefined) throw new Error('No message');
    return message;
  } finally {
    for (const rest of [exited, answered]) rest.catch(() => undefined);
    done.abort();
  }
};

/** A packaged function in a fresh process, with an environment that has nothing else. */
export const startLambda = async ({
  archive,
  handler,
  environment,
}: {
  archive: string;
  handler: string;
  environment: Record<string, string>;
}) => {
  const folder = unpack(archive);
  const child = fork(join(import.meta.dirname, 'lambda-runtime.mjs'), {
    cwd: folder,
    env: { ...environment, _HANDLER: handler, LAMBDA_TASK_ROOT: folder },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const stop = async (): Promise<void> => {
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { usage } = await nextMessage(child, readyWithinMs);
    return {
      /** The resource usage of loading. */
      loaded: usage,
      /** All that the function wrote. */
      output: () => output,
      /** @returns the function's result, and its resource usage so far. @throws Error if the function throws */
      invoke: async (event: unknown, timeoutMs = 30_000): Promise<{ result: unknown; usage: Usage }> => {
        const answer = nextMessage(child, timeoutMs);
        child.send({ event, timeoutMs });
        const { result, error, usage } = await answer;
        if (error !== undefined) throw new Error(`${error}\n${output.slice(-2_000)}`);
        return { result, usage };
      },
      /** Freezes its environment, as Lambda does between two calls. */
      freeze: () => child.kill('SIGSTOP'),
      thaw: () => child.kill('SIGCONT'),
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`${archive} does not load: ${String(error)}\n${output}`);
  }
};

export type Lambda = Awaited<ReturnType<typeof startLambda>>;
