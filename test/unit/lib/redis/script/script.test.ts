import { expect, test } from 'vitest';
import { defineScript, runScript } from '#lib/redis/script/script.ts';

/** Answers each call with its arguments. */
const recording = (isKnown = true) => {
  const calls: unknown[][] = [];
  const answer = async (...call: unknown[]) => {
    calls.push(call);
    if (!isKnown && calls.length === 1) throw new Error('NOSCRIPT No matching script');
    return 'OK';
  };
  return { calls, connection: { redis: { evalsha: answer, eval: answer }, server: 'run' } } as never as {
    calls: unknown[][];
    connection: Parameters<ReturnType<typeof runScript>>[0];
  };
};

test('names become local variables, and values take the places of their names', async () => {
  const script = defineScript({ keys: ['counter', 'outbox'], args: ['id'] }, 'return id');
  expect(script.source).toContain('local counter, outbox = KEYS[1], KEYS[2]');
  expect(script.source).toContain('local id = ARGV[1]');
  const { calls, connection } = recording();
  await runScript(script, { id: 5, outbox: 'o', counter: 'c' })(connection);
  expect(calls).toEqual([[script.sha, 2, 'c', 'o', 5]]);
});

test('the values of a list follow those of the whole', async () => {
  const script = defineScript(
    { keys: ['outbox'], args: ['at'], each: { keys: ['counter'], args: ['id', 'number'] } },
    'return id',
  );
  const { calls, connection } = recording();
  await runScript(script, { outbox: 'o', at: 1 }, [
    { number: 7, counter: 'c1', id: 'a' },
    { number: 8, counter: 'c2', id: 'b' },
  ])(connection);
  expect(calls).toEqual([[script.sha, 3, 'o', 'c1', 'c2', 1, 'a', 7, 'b', 8]]);
  expect(script.source).toContain('one(KEYS[2 + item * 1], ARGV[2 + item * 2], ARGV[3 + item * 2])');
});

test('a server that does not know a script is sent its text', async () => {
  const script = defineScript({ keys: ['counter'] }, 'return 1');
  const { calls, connection } = recording(false);
  expect(await runScript(script, { counter: 'c' })(connection)).toBe('OK');
  expect(calls).toEqual([
    [script.sha, 1, 'c'],
    [script.source, 1, 'c'],
  ]);
});
