import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commands } from '#lib/contracts/commands/all.ts';
import { createKeys } from '#lib/redis/script/keys.ts';

/** Tokens as other programs may choose them, with the words of the keys among them. */
const words = Object.values(createKeys())
  .flatMap((key) => (typeof key === 'string' ? key.split(/:+/) : []))
  .concat([
    'cell',
    'dirty',
    'outbox',
    'chats',
    'application',
    'order',
    'entries',
    'pending',
    'edits',
    '1',
    '42',
  ]);
const token = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  fc.constantFrom(...words.filter((word) => /^[A-Za-z0-9_-]{1,64}$/.test(word))),
);
const number = fc.oneof(fc.constantFrom(1, 2, 42), fc.integer({ min: 1, max: 4_294_967_294 }));
const prefix = fc.constantFrom('', '{chat}:', 'cell', 'a:b:');

/** Every key of an application and a chat, with its meaning. */
const allKeys = (of: ReturnType<typeof createKeys>, token: string, number: number): [string, string][] => [
  ['application counter', of.applicationCounter(token)],
  [`chat counter ${number}`, of.chatCounter(token, number)],
  ['state', of.state],
  ['verified', of.verified],
  ['asked', of.recoveryAsked],
  ['dirty applications', of.dirtyApplications],
  ['dirty chats', of.dirtyChats],
  ['dirty markers', of.dirtyMarkers],
  ...commands.map(({ queue }): [string, string] => [`outbox ${queue}`, of.outbox(queue)]),
  ['idempotency', of.idempotency(token)],
  [`generation ${number}`, of.generation(number)],
  ['sign-in attempts', of.signIn('attempts', token)],
  ['sign-in account', of.signIn('account', token)],
  ['rate limit', `${of.rateLimit('writes')}:${token}`],
  ['rate limit of a user', `${of.rateLimit('reads')}:${number}`],
  ['pending applications', of.pendingApplications(number)],
  ['application', of.application(token)],
  ['changes', of.changes(token)],
  ['watched application', of.watched({ token })],
  [`watched chat ${number}`, of.watched({ token, chatNumber: number })],
  ['pending chats', of.pendingChats(token)],
  [`read markers of ${number}`, of.readMarkers(number, token)],
  [`order ${number}`, of.windowOrder(token, number)],
  [`entries ${number}`, of.windowEntries(token, number)],
  [`pending ${number}`, of.pendingOrder(token, number)],
  [`creates ${number}`, of.pendingIds(token, number)],
  [`edits ${number}`, of.pendingEdits(token, number)],
];

test('no token and no number makes two keys of any kind equal', () => {
  fc.assert(
    fc.property(prefix, token, number, token, number, (prefix, one, oneNumber, other, otherNumber) => {
      const keys = createKeys(prefix);
      const first = allKeys(keys, one, oneNumber);
      const second = allKeys(keys, other, otherNumber);
      for (const [what, key] of first) {
        for (const [otherWhat, otherKey] of second) {
          if (key !== otherKey) continue;
          // The same kind of the same thing, or one that the whole cell has once.
          expect(otherWhat).toBe(what);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('the counters have the names of the contract, behind the prefix', () => {
  const keys = createKeys('{chat}:');
  expect(keys.applicationCounter('token')).toBe('{chat}:token');
  expect(keys.chatCounter('token', 7)).toBe('{chat}:token:7');
  for (const [, key] of allKeys(keys, 'token', 7)) expect(key.startsWith('{chat}:')).toBe(true);
});
