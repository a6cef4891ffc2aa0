import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { commands } from '#lib/contracts/commands/all.ts';
import { rateLimitClassOf } from '#lib/contracts/http/rate-limit-class.ts';
import { unknownRoute } from '#lib/contracts/http/system.ts';
import { routes } from '#lib/contracts/index.ts';
import { pushQueue, recoveryQueue } from '#lib/contracts/queues.ts';

type Event = { httpApi?: string; rabbitmq?: { queue: string }; schedule?: unknown };
type Definition = { handler: string; timeout?: number; events?: Event[] };

const root = resolve(import.meta.dirname, '../..');
const service: {
  functions: Record<string, Definition>;
  provider: { timeout: number };
  custom: { throttling: { routes: Record<string, object> } };
} = parse(readFileSync(join(root, 'serverless.yml'), 'utf8'));
const functions = Object.entries(service.functions);
const camelCase = (kebab: string) =>
  kebab.replace(/-([a-z])/g, (_dash, letter: string) => letter.toUpperCase());
const sourceOf = ({ handler }: Definition) => handler.replace(/\.handler$/, '.ts');
const eventsOf = <Kind extends keyof Event>(kind: Kind) =>
  functions.flatMap(([key, { events = [] }]) =>
    events.flatMap((event) => (event[kind] === undefined ? [] : [{ key, event: event[kind] }])),
  );

describe.each(functions)('%s', (key, definition) => {
  // The first one loads everything that the functions have in common.
  it('is named as its file, which exports its handler', { timeout: 30_000 }, async () => {
    expect(definition.handler).toMatch(/^functions\/.+\.handler$/);
    expect(camelCase(basename(sourceOf(definition), '.ts'))).toBe(key);
    const module: Record<string, unknown> = await import(
      pathToFileURL(join(root, sourceOf(definition))).href
    );
    expect(module.handler).toBeTypeOf('function');
  });

  it('has a unit test', () => {
    const test = sourceOf(definition).replace(/^(functions\/.+)\.ts$/, 'test/unit/$1.test.ts');
    expect(existsSync(join(root, test)), test).toBe(true);
  });

  it('has an event to try it with', () => {
    expect(existsSync(join(root, `test/events/${key}.json`))).toBe(true);
  });
});

it('names every file in functions/, and no other', () => {
  const files = readdirSync(join(root, 'functions'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('functions', file));
  expect(functions.map(([, definition]) => sourceOf(definition)).sort()).toEqual(files.sort());
});

it('has an event for every function, and no other', () => {
  const events = readdirSync(join(root, 'test/events')).map((file) => basename(file, '.json'));
  expect(events.sort()).toEqual(functions.map(([key]) => key).sort());
});

const contracts = Object.values(routes);

/** Routes that would take a literal part of a path for a parameter, such as `PUT …/messages/search`. */
const mistakable = contracts.flatMap(({ path }) => {
  const isTaken = new Set(contracts.filter((other) => other.path === path).map(({ method }) => method));
  return contracts
    .filter((other) => other.path !== path && !isTaken.has(other.method))
    .filter((other) => new RegExp(`^${other.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
    .map(({ method }) => `${method} ${path}`);
});

it('leads every route of the contracts to its function, and every other route to the one that refuses', () => {
  const wired = eventsOf('httpApi').map(({ key, event }) => `${event} → ${key}`);
  const contracted = contracts.flatMap(({ method, alsoHead, path, function: key }) =>
    (alsoHead ? [method, 'HEAD'] : [method]).map((one) => `${one} ${path} → ${key}`),
  );
  const refused = ['*', ...mistakable].map((route) => `${route} → ${unknownRoute.function}`);
  expect(wired.sort()).toEqual([...contracted, ...refused].sort());
});

it('leads every queue to the function of its command, and the other queues to theirs', () => {
  const wired = eventsOf('rabbitmq').map(({ key, event }) => `${event?.queue} → ${key}`);
  const commandQueues = commands.map(({ queue, function: key }) => `${queue} → ${key}`);
  expect(wired.sort()).toEqual(
    [...commandQueues, `${recoveryQueue} → recoverCounters`, `${pushQueue} → pushEvents`].sort(),
  );
});

it.each([
  ['functions/http/', ['httpApi']],
  ['functions/consumers/', ['rabbitmq']],
  ['functions/scheduled/', ['schedule', 'rabbitmq']],
  ['functions/operations/', []],
])('triggers what lies in %s by %j', (folder, kinds) => {
  const inFolder = functions.filter(([, { handler }]) => handler.startsWith(folder));
  expect(inFolder.length).toBeGreaterThan(0);
  for (const [key, { events = [] }] of inFolder) {
    const found = new Set(events.flatMap(Object.keys));
    expect(found.has(kinds[0] ?? '') || kinds.length === 0, key).toBe(true);
    expect(
      [...found].filter((kind) => !kinds.includes(kind)),
      key,
    ).toEqual([]);
  }
});

it('gives everything that a client waits for less time than the HTTP API does', () => {
  for (const { key } of eventsOf('httpApi')) {
    const seconds = service.functions[key]?.timeout ?? service.provider.timeout;
    expect(seconds, key).toBeLessThan(30); // https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
  }
});

it('gives no throttle of its own to a route that counts by client address: all callers share a throttle', () => {
  const counted = contracts
    .filter((contract) => ['sign-up', 'sign-in'].includes(rateLimitClassOf(contract) ?? ''))
    .map(({ method, path }) => `${method} ${path}`);
  expect(counted.length).toBeGreaterThan(1);
  const throttled = Object.keys(service.custom.throttling.routes);
  expect(throttled.filter((route) => counted.includes(route))).toEqual([]);
});

describe('each handler', () => {
  let used: Map<string, string[]>;
  beforeAll(() => {
    used = new Map(functions.map(([key, definition]) => [key, exported(sourceOf(definition))]));
  });
  const exported = (file: string) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/(\w+Handler)(?:<[^(]*>)?\(/g)].map(
      ([, name]) => name ?? '',
    );

  /** Public documents need no secret for callers and no limit. */
  const isPublic = (key: string) =>
    contracts
      .filter((contract) => contract.function === key)
      .some(({ authentication, method }) => authentication === 'none' && method === 'GET');

  it.each([
    ['httpApi', 'httpHandler'],
    ['rabbitmq', 'consumerHandler'],
    ['schedule', 'jobHandler'],
  ] as const)('of a %s event is made by %s', (kind, wrapper) => {
    for (const { key } of eventsOf(kind)) {
      const isScheduled =
        kind === 'rabbitmq' &&
        functions.find(([name]) => name === key)?.[1].handler.startsWith('functions/scheduled/');
      // Its messages are signals, which nobody tries again.
      const isSignalled = kind === 'rabbitmq' && key === 'pushEvents';
      const expected = isScheduled ? 'jobHandler' : isSignalled ? 'signalHandler' : wrapper;
      expect(used.get(key), key).toEqual([isPublic(key) ? 'publicHandler' : expected]);
    }
  });
});
