import { expect, test } from 'vitest';
import { createAccepts } from '#lib/redis/commands/all.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { createMessage } from '../../../../functions/http/messages/create-message.ts';
import { functionRequest } from '../../../support/function-request.ts';
import { scriptsOnly } from '../../../support/scripts-only.ts';

/** A frame's path within the project. The path of the project itself may be encoded. */
const ownPath = /\/((?:lib|functions)\/[\w./-]+\.ts\b.*)/;

/** The frames of this project's own functions, without those of tests and packages. */
const ownFrames = (): string[] => {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  const { stack = '' } = new Error('here');
  Error.stackTraceLimit = limit;
  return stack
    .split('\n')
    .filter((line) => !/\/node_modules\/|\/test\/support\/|\.test\.ts/.test(line))
    .flatMap((line) => ownPath.exec(line)?.[1] ?? []);
};

/**
 * Messages of one turn share a call, so one stack ends where the message waits for the others of its turn, and another
 * one begins there.
 */
test('a message passes at most seven of our functions from the handler to Lua', async () => {
  const stacks: { toQueue: string[]; toLua: string[] } = { toQueue: [], toLua: [] };
  const { client } = scriptsOnly({
    onScript: () => {
      stacks.toLua = ownFrames();
    },
  });
  const keys = createKeys();
  const submit = createSubmit({
    accepts: createAccepts({
      client,
      keys: {
        ...keys,
        counter: (of) => {
          stacks.toQueue = ownFrames();
          return keys.counter(of);
        },
      },
    }),
    publisher: { publishCommand: async () => undefined },
    gate: { isOpenIn: async () => true, verify: async () => 'verified' },
    numbers: { highestChatNumber: async () => 1, highestMessageNumber: async () => 1 },
    findStored: async () => undefined,
    eraseAtOnce: async () => undefined,
    askForRecovery: () => undefined,
    onUnpublished: () => undefined,
  });
  const request = functionRequest({ token: 'app', chatNumber: 1, body: 'b', createdAt: undefined });
  await expect(createMessage(request, { submit, now: Date.now })).rejects.toThrow();
  expect(stacks.toQueue.join('\n')).toContain('functions/http/messages/create-message.ts');
  expect(stacks.toLua.join('\n')).toContain('lib/redis/script/script.ts');
  // The first function has returned when the message waits: it names the values of the script.
  const [, ...toQueue] = stacks.toQueue;
  expect([...stacks.toLua, ...toQueue].length).toBeLessThanOrEqual(7);
});
