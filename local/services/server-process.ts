import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { timeLimits } from '../time-limits.ts';
import { Failure, messageOf } from './failure.ts';
import { makeFolder, type StackFolder } from './folders.ts';
import { pickPort, releasePort } from './ports.ts';
import { probe } from './probes.ts';
import {
  type Command,
  end,
  findUser,
  indent,
  type ProcessRecord,
  run,
  spawnServer,
  startTimeOf,
} from './processes.ts';
import type { Place, Program } from './program.ts';
import type { RunningService, ServiceName } from './types.ts';

interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly startTime: string;
  readonly exited: Promise<void>;
}

/** A server's program as a child process, in a folder and on ports of its stack. */
export class ServerProcess implements RunningService {
  readonly name: ServiceName;
  readonly kind = 'process';
  readonly folder: string;
  readonly dataFolder: string;
  readonly #program: Program;
  readonly #place: Place;
  readonly #record: ProcessRecord;
  readonly #ports: Map<string, number>;
  #server: Child | undefined;
  #companions: Child[] = [];
  #version = '';

  private constructor(
    program: Program,
    stack: StackFolder,
    record: ProcessRecord,
    ports: Map<string, number>,
  ) {
    this.name = program.name;
    this.folder = join(stack.path, program.name);
    this.dataFolder = join(this.folder, 'data');
    this.#program = program;
    this.#record = record;
    this.#ports = ports;
    const user = findUser(...program.users);
    this.#place = {
      folder: this.folder,
      dataFolder: this.dataFolder,
      user,
      port: (name) => {
        const port = ports.get(name);
        if (port === undefined) throw new Error(`${program.name} has no port named ${name}`);
        return port;
      },
      secret: (name) => stack.secret(name),
      run: (command) => run(command, { user }),
    };
  }

  /** Claims its ports. It does not run yet. */
  static async create(program: Program, stack: StackFolder, record: ProcessRecord): Promise<ServerProcess> {
    const ports = new Map<string, number>();
    for (const name of program.ports) {
      const port = await pickPort(stack.port(name));
      stack.rememberPort(name, port);
      ports.set(name, port);
    }
    return new ServerProcess(program, stack, record, ports);
  }

  get version(): string {
    return this.#version;
  }

  get url(): string {
    return this.#program.url(this.#place);
  }

  get where(): string {
    return `127.0.0.1:${this.#ports.get(this.#program.ports[0] ?? '')}, data in ${this.dataFolder}`;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#server !== undefined) {
      if (
        this.#server.process.exitCode === null &&
        this.#server.process.signalCode === null &&
        !this.#server.process.killed
      )
        return;
      await this.#server.exited;
    }
    makeFolder(this.folder, this.#place.user);
    await this.#program.prepare(this.#place);
    signal?.throwIfAborted();
    const log = join(this.folder, 'output.log');
    if (existsSync(log)) renameSync(log, `${log}.1`);
    if (this.#companions.length === 0) {
      for (const command of this.#program.companions?.(this.#place) ?? []) {
        const child = this.#spawn(command, log);
        this.#companions.push(child);
        void child.exited.then(() => {
          this.#companions = this.#companions.filter((one) => one !== child);
        });
      }
    }
    const server = this.#spawn(this.#program.command(this.#place), log);
    this.#server = server;
    void server.exited.then(() => {
      if (this.#server === server) this.#server = undefined;
    });
    await this.#untilReady(server, log, signal);
  }

  kill(signal: NodeJS.Signals): void {
    this.#running().process.kill(signal);
  }

  // `kill` of a child process would mark the server as killed, and `start` would wait for its end.
  pause(): void {
    process.kill(this.#running().pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.#running().pid, 'SIGCONT');
  }

  async stop(): Promise<void> {
    for (const child of [this.#server, ...this.#companions]) {
      if (child === undefined) continue;
      await end({ name: this.name, pid: child.pid, startTime: child.startTime }, timeLimits.serverStopMs);
      await child.exited;
    }
  }

  async wipe(): Promise<void> {
    if (this.#server !== undefined)
      throw new Failure(`${this.name} is running. Stop it before you remove its data.`);
    rmSync(this.dataFolder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Releases its ports after the last stop. */
  releasePorts(): void {
    for (const port of this.#ports.values()) releasePort(port);
  }

  #running(): Child {
    if (this.#server === undefined) throw new Failure(`${this.name} is not running.`);
    return this.#server;
  }

  #spawn(command: Command, log: string): Child {
    const output = openSync(log, 'a', 0o600);
    try {
      const child = spawnServer(command, this.#place.user, output);
      const exited = new Promise<void>((resolve) => {
        child.once('error', () => resolve());
        child.once('exit', () => resolve());
      });
      const { pid } = child;
      if (pid === undefined) throw new Failure(`${command.file} could not be started.`);
      const startTime = startTimeOf(pid) ?? '';
      this.#record.add(this.name, pid);
      void exited.then(() => this.#record.remove(pid));
      return { process: child, pid, startTime, exited };
    } finally {
      closeSync(output);
    }
  }

  async #untilReady(server: Child, log: string, signal: AbortSignal | undefined): Promise<void> {
    const deadline = performance.now() + timeLimits.serverReadyMs;
    let last = 'no answer';
    for (;;) {
      signal?.throwIfAborted();
      if (this.#server !== server) {
        throw new Failure(
          `${this.name} ended while it was starting (${exitOf(server.process)}).\n${tail(log)}`,
        );
      }
      try {
        this.#version = await probe(this.name, this.url);
        return;
      } catch (error) {
        last = messageOf(error);
      }
      if (performance.now() > deadline) {
        throw new Failure(
          `${this.name} does not answer at 127.0.0.1:${this.#ports.get(this.#program.ports[0] ?? '')} after ${timeLimits.serverReadyMs / 1000} s: ${last}\n${tail(log)}`,
        );
      }
      await delay(100);
    }
  }
}

const exitOf = (child: ChildProcess): string =>
  child.signalCode === null ? `exit code ${child.exitCode}` : `by ${child.signalCode}`;

/** The last lines of a log, and its path. */
const tail = (log: string): string => {
  let lines: string[] = [];
  try {
    lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-12);
  } catch {
    // There is no log yet.
  }
  return `  The end of its log, ${log}:\n${indent(lines)}`;
};
