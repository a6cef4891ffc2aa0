import { expect, test } from 'vitest';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Outcome } from '#lib/redis/commands/accept.ts';
import type { Accepts } from '#lib/redis/commands/all.ts';
import { createSubmit } from '#lib/writing/submit.ts';

const accepted = <Answer>(answer: Answer): Outcome<Answer> => ({
  kind: 'accepted',
  answer,
  epoch: '7',
  command: { id: '1767225600000000', content: '{}' },
});
const nowMs = Date.parse('2026-01-01T00:00:00.000Z');
const token = 'TOKEN';

type Given = {
  /** The outcomes of the accepting script, one a try; the last one repeats. */
  outcomes?: Outcome<unknown>[];
  isOpen?: boolean;
  verified?: 'verified' | 'missing' | 'closed';
  publish?: () => Promise<void>;
  /** The item in MySQL. */
  stored?: { ownerId: number; version: number } | 'missing';
};

/** A submit on plain objects. `steps` lists its calls in order. */
const givenSubmit = ({
  outcomes = [accepted(17)],
  isOpen = true,
  verified = 'verified',
  publish = async () => undefined,
  stored = { ownerId: 5, version: 90 },
}: Given = {}) => {
  const steps: string[] = [];
  const accept = async (...values: unknown[]): Promise<Outcome<never>> => {
    steps.push(`accept ${JSON.stringify(values)}`);
    const [outcome, ...rest] = outcomes;
    if (outcome === undefined) throw new Error('No outcome is left');
    if (rest.length > 0) outcomes.shift();
    return outcome as Outcome<never>;
  };
  const accepts: Accepts = {
    'create-application': accept,
    'update-application': accept,
    'create-chat': accept,
    'update-chat': accept,
    'create-message': accept,
    'update-message': accept,
  };
  const submit = createSubmit({
    accepts,
    publisher: {
      publishCommand: async (queue, { id }) => {
        steps.push(`publish ${id} to ${queue}`);
        await publish();
      },
    },
    gate: {
      isOpenIn: async (epoch) => {
        steps.push(`confirm epoch ${epoch}`);
        return isOpen;
      },
      verify: async (counts, lost) => {
        const told = counts.map(
          ({ chatNumber, count }) => `${chatNumber === undefined ? 'application' : 'chat'} at ${count}`,
        );
        steps.push(`verify ${told.join(' and ')} for ${lost}`);
        return verified;
      },
    },
    numbers: { highestChatNumber: async () => 3, highestMessageNumber: async () => 16 },
    findStored: async (item) => {
      steps.push(`find ${JSON.stringify(item)}`);
      return stored === 'missing' ? undefined : stored;
    },
    eraseAtOnce: async (queue, content) => {
      steps.push(`erase at once ${queue} ${content}`);
    },
    askForRecovery: () => steps.push('ask for recovery'),
    onUnpublished: (queue) => steps.push(`unpublished ${queue}`),
  });
  return { submit, steps };
};

const chat = { token, creatorId: 5, title: 'Lobby' };
const message = { token, chatNumber: 3, senderId: 5, senderName: 'Ada', body: 'hi', createdAtMs: nowMs };
const edit = { token, chatNumber: 3, messageNumber: 17, body: 'hello', callerId: 5 };

test('a write is accepted, published and confirmed, in this order', async () => {
  const { submit, steps } = givenSubmit();
  expect(await submit(createChatCommand, chat, { key: 'k', fingerprint: 'f' })).toBe(17);
  expect(steps).toEqual([
    'accept [{"token":"TOKEN","creatorId":5,"title":"Lobby"},{"idempotency":{"key":"k","fingerprint":"f"}}]',
    'publish 1767225600000000 to create-chat',
    'confirm epoch 7',
  ]);
});

test('each kind of write goes to its own queue', async () => {
  const { submit, steps } = givenSubmit();
  await submit(createApplicationCommand, { token, name: 'App', creatorId: 5 });
  await submit(createChatCommand, chat);
  await submit(createMessageCommand, message);
  await submit(updateApplicationCommand, { token, name: 'New', callerId: 5 });
  await submit(updateMessageCommand, edit);
  expect(steps.filter((step) => step.startsWith('publish')).map((step) => step.split(' ').at(-1))).toEqual([
    'create-application',
    'create-chat',
    'create-message',
    'update-application',
    'update-message',
  ]);
});

test('a stored command of a repeated request is not published again', async () => {
  const { submit, steps } = givenSubmit({
    outcomes: [{ kind: 'accepted', answer: 17, epoch: '7', command: undefined }],
  });
  expect(await submit(createMessageCommand, message)).toBe(17);
  expect(steps.slice(1)).toEqual(['confirm epoch 7']);
});

test('a command without a confirm of the broker is accepted; the relay publishes it later', async () => {
  const { submit, steps } = givenSubmit({
    publish: () => Promise.reject(unavailable('The message broker does not answer.')),
  });
  expect(await submit(createMessageCommand, message)).toBe(17);
  expect(steps.slice(2)).toEqual(['unpublished create-message', 'confirm epoch 7']);
});

test('a closed gate refuses the write, publishes nothing and starts a recovery', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [{ kind: 'closed' }] });
  await expect(submit(createMessageCommand, message)).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterSeconds: 1,
  });
  expect(steps.slice(1)).toEqual(['ask for recovery']);
});

test('a gate that closes during the write refuses it, and a recovery starts', async () => {
  const { submit, steps } = givenSubmit({ isOpen: false });
  await expect(submit(createMessageCommand, message)).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterSeconds: 1,
  });
  expect(steps.at(-1)).toBe('ask for recovery');
});

test.each([
  ['chat', 'application at 3'],
  ['message', 'chat at 16 and application at 3'],
] as const)(
  'the unverified counters of a %s are compared with MySQL in one call before the next try',
  async (what, counter) => {
    const { submit, steps } = givenSubmit({
      outcomes: [
        {
          kind: 'unverified',
          counters: what === 'chat' ? [{ token }] : [{ token, chatNumber: 3 }, { token }],
          lost: '6',
        },
        accepted(17),
      ],
    });
    expect(
      await (what === 'chat' ? submit(createChatCommand, chat) : submit(createMessageCommand, message)),
    ).toBe(17);
    expect(steps.map((step) => step.split(' [')[0])).toEqual([
      'accept',
      `verify ${counter} for 6`,
      'accept',
      `publish 1767225600000000 to create-${what}`,
      'confirm epoch 7',
    ]);
  },
);

test('a parent that neither Redis nor MySQL has is not found', async () => {
  const { submit } = givenSubmit({
    outcomes: [{ kind: 'unverified', counters: [{ token, chatNumber: 3 }], lost: '6' }],
    verified: 'missing',
  });
  await expect(submit(createMessageCommand, message)).rejects.toMatchObject({ code: 'not-found' });
});

test('a write is refused after five tries if its counter is lost each time', async () => {
  const { submit, steps } = givenSubmit({
    outcomes: [{ kind: 'unverified', counters: [{ token, chatNumber: 3 }], lost: '6' }],
  });
  await expect(submit(createMessageCommand, message)).rejects.toMatchObject({ code: 'unavailable' });
  expect(steps.filter((step) => step.startsWith('accept'))).toHaveLength(5);
});

const unknown = (lookedUpAt: string): Outcome<never> => ({
  kind: 'unknown',
  item: { token, chatNumber: 3, messageNumber: 17 },
  lookedUpAt,
});

test('an item that only MySQL knows is looked up, and the edit is accepted with its owner and version', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [unknown('8'), accepted(undefined)] });
  expect(await submit(updateMessageCommand, edit)).toBeUndefined();
  expect(
    steps.map((step) => step.replace(/\{"token":"TOKEN","chatNumber":3,"messageNumber":17,"body.*?\}/, '…')),
  ).toEqual([
    'accept […,{}]',
    'find {"token":"TOKEN","chatNumber":3,"messageNumber":17}',
    'accept […,{"stored":{"ownerId":5,"version":90,"lookedUpAt":"8"}}]',
    'publish 1767225600000000 to update-message',
    'confirm epoch 7',
  ]);
});

test('a deletion is written to MySQL at last, if it is accepted now or still pending', async () => {
  const deletion = { ...edit, body: '', deleted: true } as const;
  const { submit, steps } = givenSubmit();
  await submit(updateMessageCommand, deletion);
  expect(steps.slice(2)).toEqual([
    'confirm epoch 7',
    expect.stringMatching(/^erase at once update-message /),
  ]);
  const repeated: Outcome<never> = {
    kind: 'accepted',
    answer: undefined as never,
    epoch: '7',
    command: undefined,
  };
  const again = givenSubmit({ outcomes: [repeated] });
  await again.submit(updateMessageCommand, deletion);
  expect(again.steps.slice(1)).toEqual(['confirm epoch 7']);
  const lost = givenSubmit({ isOpen: false });
  await expect(lost.submit(updateMessageCommand, deletion)).rejects.toMatchObject({ code: 'unavailable' });
  expect(lost.steps.at(-1)).toBe('ask for recovery');
});

test('a deletion by another user is accepted if MySQL knows this user as the creator of the application', async () => {
  const creatorUnknown: Outcome<never> = { kind: 'unknown', item: { token }, lookedUpAt: '' };
  const { submit, steps } = givenSubmit({ outcomes: [unknown('8'), creatorUnknown, accepted(undefined)] });
  await submit(updateMessageCommand, { ...edit, body: '', deleted: true });
  expect(steps.filter((step) => step.startsWith('find'))).toEqual([
    'find {"token":"TOKEN","chatNumber":3,"messageNumber":17}',
    'find {"token":"TOKEN"}',
  ]);
  expect(steps.at(-4)).toContain(
    '{"stored":{"ownerId":5,"version":90,"lookedUpAt":"8","applicationCreatorId":5}}',
  );
});

test('an item whose look-up was too slow is looked up again', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [unknown('8'), unknown('9'), accepted(undefined)] });
  await submit(updateMessageCommand, edit);
  expect(steps.filter((step) => step.startsWith('find'))).toHaveLength(2);
  expect(steps.at(-3)).toContain('"lookedUpAt":"9"');
});

test('an edit of an item that neither Redis nor MySQL knows is not found', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [unknown('')], stored: 'missing' });
  await expect(submit(updateMessageCommand, edit)).rejects.toMatchObject({
    code: 'not-found',
    message: 'There is no such message.',
  });
  expect(steps).toHaveLength(2);
});
