import { expect, test } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import type { Outcome } from '#lib/redis/commands/accepting-script.ts';
import { createSubmit } from '#lib/writing/submit.ts';

const accepted = (answer: string): Outcome => ({
  kind: 'accepted',
  answer,
  epoch: '7',
  command: { id: '1767225600000000', content: '{}' },
});
const token = 'TOKEN';
const nowMs = Date.parse('2026-01-01T00:00:00.000Z');

type Given = {
  /** The outcomes of the accepting script, one a try; the last one repeats. */
  outcomes?: Outcome[];
  isOpen?: boolean;
  verified?: 'verified' | 'missing' | 'closed';
  publish?: () => Promise<void>;
};

/** A submit on plain objects. `steps` lists its calls in order. */
const givenSubmit = ({
  outcomes = [accepted('17')],
  isOpen = true,
  verified = 'verified',
  publish = async () => undefined,
}: Given = {}) => {
  const steps: string[] = [];
  const accept = async (...values: unknown[]): Promise<Outcome> => {
    steps.push(`accept ${JSON.stringify(values)}`);
    const [outcome, ...rest] = outcomes;
    if (outcome === undefined) throw new Error('No outcome is left');
    if (rest.length > 0) outcomes.shift();
    return outcome;
  };
  const submit = createSubmit({
    accept: {
      application: accept,
      applicationUpdate: accept,
      chat: accept,
      message: accept,
      messageUpdate: accept,
    },
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
      verify: async ({ chatNumber }, count, lost) => {
        steps.push(`verify ${chatNumber === undefined ? 'application' : 'chat'} at ${count} for ${lost}`);
        return verified;
      },
    },
    numbers: { highestChatNumber: async () => 3, highestMessageNumber: async () => 16 },
    askForRecovery: () => steps.push('ask for recovery'),
    onUnpublished: (queue) => steps.push(`unpublished ${queue}`),
    now: () => nowMs,
  });
  return { submit, steps };
};

const chat = { token, creatorId: 5, title: 'Lobby' };
const message = { token, chatNumber: 3, senderId: 5, senderName: 'Ada', body: 'hi', createdAtMs: nowMs };
const edit = { token, chatNumber: 3, messageNumber: 17, body: 'hello', callerId: 5 };

test('a write is accepted, published and confirmed, in this order', async () => {
  const { submit, steps } = givenSubmit();
  expect(await submit.chat(chat, { key: 'k', fingerprint: 'f' })).toBe(17);
  expect(steps).toEqual([
    'accept [{"token":"TOKEN","creatorId":5,"title":"Lobby","date":"2026-01-01T00:00:00.000Z"},{"key":"k","fingerprint":"f"}]',
    'publish 1767225600000000 to create-chat',
    'confirm epoch 7',
  ]);
});

test('each kind of write goes to its own queue', async () => {
  const { submit, steps } = givenSubmit();
  await submit.application({ name: 'App', creatorId: 5 });
  await submit.chat(chat);
  await submit.message(message);
  await submit.applicationUpdate({ token, name: 'New', callerId: 5 });
  await submit.messageUpdate(edit);
  expect(steps.filter((step) => step.startsWith('publish')).map((step) => step.split(' ').at(-1))).toEqual([
    'create-application',
    'create-chat',
    'create-message',
    'update-application',
    'update-message',
  ]);
});

test('every application gets a token of its own', async () => {
  const { submit, steps } = givenSubmit();
  await submit.application({ name: 'App', creatorId: 5 });
  await submit.application({ name: 'App', creatorId: 5 });
  const tokens = steps.flatMap((step) => /"token":"([\w-]{24})"/.exec(step)?.[1] ?? []);
  expect(new Set(tokens).size).toBe(2);
});

test('a title that was not given is absent from the command', async () => {
  const { submit, steps } = givenSubmit();
  await submit.chat({ token, creatorId: 5, title: undefined });
  expect(steps[0]).not.toContain('title');
});

test('a stored command of a repeated request is not published again', async () => {
  const { submit, steps } = givenSubmit({
    outcomes: [{ kind: 'accepted', answer: '17', epoch: '7', command: undefined }],
  });
  expect(await submit.message(message)).toBe(17);
  expect(steps.slice(1)).toEqual(['confirm epoch 7']);
});

test('a command without a confirm of the broker is accepted; the relay publishes it later', async () => {
  const { submit, steps } = givenSubmit({
    publish: () => Promise.reject(unavailable('The message broker does not answer.')),
  });
  expect(await submit.message(message)).toBe(17);
  expect(steps.slice(2)).toEqual(['unpublished create-message', 'confirm epoch 7']);
});

test('a closed gate refuses the write, publishes nothing and starts a recovery', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [{ kind: 'closed' }] });
  await expect(submit.message(message)).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterSeconds: 1,
  });
  expect(steps.slice(1)).toEqual(['ask for recovery']);
});

test('a gate that closes during the write refuses it, and a recovery starts', async () => {
  const { submit, steps } = givenSubmit({ isOpen: false });
  await expect(submit.message(message)).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 });
  expect(steps.at(-1)).toBe('ask for recovery');
});

test.each([
  ['chat', 'application at 3'],
  ['message', 'chat at 16'],
] as const)(
  'the unverified counter of a %s is compared with MySQL before the next try',
  async (what, counter) => {
    const { submit, steps } = givenSubmit({ outcomes: [{ kind: 'unverified', lost: '6' }, accepted('17')] });
    expect(await (what === 'chat' ? submit.chat(chat) : submit.message(message))).toBe(17);
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
  const { submit } = givenSubmit({ outcomes: [{ kind: 'unverified', lost: '6' }], verified: 'missing' });
  await expect(submit.message(message)).rejects.toMatchObject({ code: 'not-found' });
});

test('a write is refused after three tries if its counter is lost each time', async () => {
  const { submit, steps } = givenSubmit({ outcomes: [{ kind: 'unverified', lost: '6' }] });
  await expect(submit.message(message)).rejects.toMatchObject({ code: 'unavailable' });
  expect(steps.filter((step) => step.startsWith('accept'))).toHaveLength(3);
});

test('an update returns false while only MySQL knows the creator or sender, and is accepted with it', async () => {
  const unknown = givenSubmit({ outcomes: [{ kind: 'unknown' }] });
  expect(await unknown.submit.messageUpdate(edit)).toBe(false);
  expect(await unknown.submit.applicationUpdate({ token, name: 'New', callerId: 5 })).toBe(false);
  expect(unknown.steps.every((step) => step.startsWith('accept'))).toBe(true);
  const { submit, steps } = givenSubmit();
  expect(await submit.messageUpdate({ ...edit, senderId: 5 })).toBe(true);
  expect(steps[0]).toMatch(/,5,5\]$/);
});
