import { randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApplication, createChat, type Listed, messagesPath } from '../support/client.ts';
import {
  createUser,
  eventually,
  invoke,
  publish,
  query,
  withChannel,
  withRedis,
} from '../support/servers.ts';

/** Commands as the contract gives them, without the fields that the functions of this service add. */
type Command = Record<string, string | number | null>;
type DeadLetter = { id: string; reason: string; command: Command | string };

let user: Awaited<ReturnType<typeof createUser>>;
let token: string;
beforeAll(async () => {
  user = await createUser('Ada');
});
beforeEach(() => {
  token = randomBytes(18).toString('base64url');
});

const at = (second: number) => new Date(Date.UTC(2024, 4, 1, 12, 0, second)).toISOString();
const newApplication = (): Command => ({ token, name: 'From elsewhere', creatorId: user.id, date: at(0) });
const newChat = (chatNumber = 1): Command => ({ token, chatNumber, creatorId: user.id, date: at(1) });
const newMessage = (messageNumber: number, body = `message ${messageNumber}`): Command => ({
  token,
  chatNumber: 1,
  messageNumber,
  senderId: user.id,
  body,
  date: at(1 + messageNumber),
});
const edit = (messageNumber: number, body: string, second: number): Command => ({
  token,
  chatNumber: 1,
  messageNumber,
  body,
  date: at(second),
});

const storedMessages = () =>
  query<{ number: number; body: string; edited_at: Date | null }>(
    'SELECT number, body, edited_at FROM messages WHERE token = ? ORDER BY number',
    [token],
  );
const bodies = async () => (await storedMessages()).map(({ body }) => body);

const letters = async (queue: string): Promise<DeadLetter[]> => {
  const shown = await invoke<Record<string, { letters: DeadLetter[] }>>('deadLetters', {
    action: 'show',
    queue,
  });
  return (shown[queue]?.letters ?? []).filter(({ command }) => JSON.stringify(command).includes(token));
};

/** Discards the dead letters of this test, because other tests read the same queues. */
const discard = async (queue: string) => {
  const ids = (await letters(queue)).map(({ id }) => id);
  await invoke('deadLetters', { action: 'discard', queue, ids });
};

/** The counters that the contract gives: what makes the API know an application that another program made. */
const countersAre = (chats: number, messages: number) =>
  withRedis((redis, key) => redis.mset(key(token), chats, key(`${token}:1`), messages));

const givenChat = async () => {
  await publish('create-application', newApplication());
  await publish('create-chat', newChat());
  await eventually(async () =>
    expect(await query('SELECT 1 FROM chats WHERE token = ?', [token])).toHaveLength(1),
  );
};

describe('commands of another program, with the fields of the contract alone', () => {
  it('are written, and read and found through the API', async () => {
    await publish('create-application', newApplication());
    await publish('create-chat', { ...newChat(), title: 'Elsewhere' });
    await publish('create-message', newMessage(1, 'a bare command'));
    await publish('update-application', { token, name: 'Renamed elsewhere', date: at(5) });
    await publish('update-chat', { token, chatNumber: 1, title: 'Renamed elsewhere', date: at(7) });
    await publish('update-message', edit(1, 'a bare edit', 6));
    await eventually(async () => {
      expect(await bodies()).toEqual(['a bare edit']);
      expect(await query('SELECT name FROM applications WHERE token = ?', [token])).toEqual([
        { name: 'Renamed elsewhere' },
      ]);
      expect(await query('SELECT title FROM chats WHERE token = ?', [token])).toEqual([
        { title: 'Renamed elsewhere' },
      ]);
    });
    await countersAre(1, 1);
    expect((await user.client.get(`/applications/${token}`)).body).toEqual({
      token,
      name: 'Renamed elsewhere',
      chatsCount: 1,
    });
    expect((await user.client.get(`/applications/${token}/chats`)).body).toEqual([
      { chatNumber: 1, title: 'Renamed elsewhere', messagesCount: 1, unreadCount: 1 },
    ]);
    expect((await user.client.get(messagesPath(token, 1))).body).toEqual([
      {
        messageNumber: 1,
        sender: user.handle,
        senderName: 'Ada',
        body: 'a bare edit',
        createdAt: at(2),
        editedAt: at(6),
        changeNumber: expect.any(Number),
      },
    ]);
    await eventually(async () =>
      expect((await user.client.get(`${messagesPath(token, 1)}/search?q=bare`)).body).toEqual([
        { messageNumber: 1, sender: user.handle, senderName: 'Ada', body: 'a bare edit', createdAt: at(2) },
      ]),
    );
  });

  it('count as one when they come three times', async () => {
    const three = (command: Command) => [command, command, command];
    await publish('create-application', ...three(newApplication()));
    await publish('create-chat', ...three(newChat()));
    await publish('create-message', ...three(newMessage(1)), ...three(newMessage(2)));
    await publish('update-message', ...three(edit(1, 'edited', 10)));
    await eventually(async () => expect(await bodies()).toEqual(['edited', 'message 2']));
    await publish('create-message', ...three(newMessage(1)));
    await publish('create-message', newMessage(3));
    await eventually(async () => expect(await bodies()).toEqual(['edited', 'message 2', 'message 3']));
    for (const queue of ['create-application', 'create-chat', 'create-message', 'update-message']) {
      expect(await letters(queue)).toEqual([]);
    }
  });

  it('wait for each other when they come in the wrong order: an edit, its message, its chat, its application', async () => {
    await publish('update-message', edit(1, 'newest', 11), edit(1, 'older', 10));
    await publish('update-application', { token, name: 'Renamed', date: at(10) });
    await publish('create-message', newMessage(1));
    await publish('create-chat', newChat());
    // By now each of them has been looked at and deferred.
    await eventually(async () => {
      const deferred = await withChannel(async (channel) => {
        const { messageCount } = await channel.checkQueue('create-chat.retry');
        return messageCount;
      });
      expect(deferred).toBeGreaterThan(0);
    });
    await publish('create-application', newApplication());
    await eventually(async () => {
      expect(await bodies()).toEqual(['newest']);
      expect(await query('SELECT name FROM applications WHERE token = ?', [token])).toEqual([
        { name: 'Renamed' },
      ]);
    });
  });

  it('end with the newest edit, in any order of arrival', async () => {
    await givenChat();
    await publish('create-message', newMessage(1), newMessage(2));
    await publish('update-message', edit(1, 'third', 13), edit(1, 'first', 11), edit(2, 'second', 12));
    await eventually(async () => expect(await bodies()).toEqual(['third', 'second']));
    await publish('update-message', edit(1, 'second', 12), edit(2, 'third', 13), edit(2, 'first', 11));
    await eventually(async () => expect(await bodies()).toEqual(['third', 'third']));
  });
});

describe('a command that can never succeed', () => {
  it.each<[string, () => string | Command, RegExp]>([
    ['no JSON', () => `{"token": "${token}`, /malformed/],
    [
      'a field is missing',
      () => ({ token, chatNumber: 1, messageNumber: 9, date: at(1) }),
      /malformed[\s\S]*senderId/,
    ],
    [
      'a field is of another type',
      () => ({ ...newMessage(9), messageNumber: '9' }),
      /malformed[\s\S]*messageNumber/,
    ],
    ['a body longer than there may be', () => newMessage(9, 'x'.repeat(16_001)), /malformed[\s\S]*body/],
    ['a sender that does not exist', () => ({ ...newMessage(9), senderId: 4_000_000_000 }), /unknown sender/],
    [
      'a date in the year 9999',
      () => ({ ...newMessage(9), date: '9999-01-01T00:00:00Z' }),
      /malformed[\s\S]*date/,
    ],
    [
      'a date before 1970',
      () => ({ ...newMessage(9), date: '1969-12-31T23:59:59Z' }),
      /malformed[\s\S]*date/,
    ],
    ['an id far ahead', () => ({ ...newMessage(9), commandId: 9e15 }), /malformed[\s\S]*commandId/],
    ['a number without a next one', () => newMessage(4_294_967_295), /malformed[\s\S]*messageNumber/],
    ['a lone surrogate in the body', () => newMessage(9, 'half \ud83d'), /malformed[\s\S]*body/],
    [
      'a lone surrogate in the name of its sender',
      () => ({ ...newMessage(9), senderName: 'half \ud83d' }),
      /malformed[\s\S]*senderName/,
    ],
    [
      'a number that another command has',
      () => newMessage(1, 'not what was stored'),
      /number belongs to another/,
    ],
  ])('goes to .dead with the reason, and its batch-mates are stored: %s', async (_what, poison, reason) => {
    await givenChat();
    await publish('create-message', newMessage(1));
    await eventually(async () => expect(await bodies()).toEqual(['message 1']));
    const poisoned = poison();
    // The number's owner is another command: bare ones are named by their date.
    const sent =
      typeof poisoned === 'string' || poisoned.messageNumber !== 1 ? poisoned : { ...poisoned, date: at(30) };
    await publish('create-message', newMessage(2), sent, newMessage(3));
    await eventually(async () => expect(await bodies()).toEqual(['message 1', 'message 2', 'message 3']));
    const set = await eventually(async () => {
      const found = await letters('create-message');
      expect(found).toHaveLength(1);
      return found;
    });
    expect(set[0]?.reason).toMatch(reason);
    await discard('create-message');
    expect(await letters('create-message')).toEqual([]);
    expect(await bodies()).toEqual(['message 1', 'message 2', 'message 3']);
  });

  it('goes to .dead after a bounded number of attempts without a parent; a redrive applies it once', async () => {
    await publish('create-message', newMessage(1));
    const [letter] = await eventually(async () => {
      const found = await letters('create-message');
      expect(found).toHaveLength(1);
      return found;
    }, 45_000);
    expect(letter?.reason).toMatch(/still not possible after \d+ attempts: its chat is not stored yet/);
    await givenChat();
    await invoke('deadLetters', { action: 'redrive', queue: 'create-message', ids: [letter?.id] });
    await eventually(async () => expect(await bodies()).toEqual(['message 1']));
    expect(await letters('create-message')).toEqual([]);
  });

  it.each<[string, Command]>([
    ['create-application', { name: 'half \ud83d' }],
    ['create-application', { name: ' ' }],
    ['create-application', { date: '9999-01-01T00:00:00Z' }],
    ['update-application', { name: 'Frozen', date: '9999-01-01T00:00:00Z' }],
    ['create-chat', { chatNumber: 4_294_967_295 }],
    ['create-chat', { chatNumber: 7, title: ' ' }],
  ])('is one refusal, not stored as well: %s %j', async (queue, more) => {
    await publish('create-application', newApplication());
    await eventually(async () =>
      expect(await query('SELECT 1 FROM applications WHERE token = ?', [token])).toHaveLength(1),
    );
    await publish(queue, { ...newApplication(), ...newChat(), ...more });
    await eventually(async () => expect((await letters(queue))[0]?.reason).toMatch(/malformed/));
    expect(await query('SELECT name FROM applications WHERE token = ?', [token])).toEqual([
      { name: 'From elsewhere' },
    ]);
    expect(await query('SELECT 1 FROM chats WHERE token = ?', [token])).toEqual([]);
    await discard(queue);
  });

  it.each<[string, Buffer]>([
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x7b])],
    ['JSON nested 5,000 deep', Buffer.from('['.repeat(5_000) + ']'.repeat(5_000))],
  ])('keeps its bytes, is shown, and hides no other letter: %s', async (_what, content) => {
    await publish('update-message', content, { token, nonsense: true });
    const shown = () =>
      invoke<Record<string, { letters: DeadLetter[] }>>('deadLetters', {
        action: 'show',
        queue: 'update-message',
      });
    const bytes = () =>
      withChannel(async (channel) => {
        const found: Buffer[] = [];
        for (let message = await channel.get('update-message.dead'); message; ) {
          found.push(message.content);
          message = await channel.get('update-message.dead');
        }
        return found.filter((one) => one.equals(content)).length;
      });
    const ours = async () => {
      const { letters: all = [] } = (await shown())['update-message'] ?? {};
      expect(all.filter(({ command }) => JSON.stringify(command).includes(token))).toHaveLength(1);
      return all.filter(({ command }) => command === content.toString('utf8'));
    };
    const [letter] = await eventually(async () => {
      const found = await ours();
      expect(found).toHaveLength(1);
      return found;
    });
    await eventually(async () => expect(await bytes()).toBe(1));
    // The redriven letter is refused again, with the same bytes.
    await eventually(async () =>
      expect(
        await invoke('deadLetters', { action: 'redrive', queue: 'update-message', ids: [letter?.id] }),
      ).toMatchObject({ 'update-message': { acted: 1 } }),
    );
    await eventually(async () => expect(await bytes()).toBe(1));
    await invoke('deadLetters', { action: 'discard', queue: 'update-message', ids: [letter?.id] });
    await discard('update-message');
  });

  it.each([
    'create-application',
    'update-application',
    'create-chat',
    'update-chat',
    'update-message',
    'index-message',
  ])('becomes a dead letter in every queue: %s', async (queue) => {
    await publish(queue, { token, nonsense: randomUUID() });
    await eventually(async () => expect((await letters(queue))[0]?.reason).toMatch(/malformed/));
    await discard(queue);
  });
});

it('a barrier of an epoch passes through every queue, and later commands are stored', async () => {
  for (const queue of [
    'create-application',
    'update-application',
    'create-chat',
    'update-chat',
    'create-message',
    'update-message',
  ]) {
    const id = randomUUID();
    await publish(queue, { barrier: { id, epoch: 1 } });
    await eventually(async () =>
      expect(await query('SELECT epoch FROM queues WHERE queue = ?', [queue])).toEqual([{ epoch: 1 }]),
    );
    expect(JSON.stringify(await invoke('deadLetters', { action: 'show', queue }))).not.toContain(id);
  }
  await givenChat();
  await publish('create-message', newMessage(1));
  await eventually(async () => expect(await bodies()).toEqual(['message 1']));
});

it('an accepted command leaves the outbox once it is stored', async () => {
  const accepted = await createApplication(user.client);
  await createChat(user.client, accepted);
  const path = messagesPath(accepted, 1);
  await user.client.post(path, { body: 'on the way' });
  await user.client.put(`${path}/1`, { body: 'edited on the way' });
  await eventually(async () => {
    await withRedis(async (redis, key) => {
      for (const queue of ['create-application', 'create-chat', 'create-message', 'update-message']) {
        expect(JSON.stringify(await redis.xrange(key(`outbox:${queue}`), '-', '+'))).not.toContain(accepted);
      }
      expect(await redis.zrange(key('outbox:index-message'), '0', '-1')).not.toContain(`${accepted}:1:1`);
    });
  });
  expect((await user.client.get<Listed>(`${path}/1`)).body.body).toBe('edited on the way');
});

it('migrate may run again, and twice at once, beside everything else', async () => {
  const reports = await Promise.all([invoke('migrate'), invoke('migrate')]);
  expect(reports).toEqual([
    { applied: [], search: 'ready' },
    { applied: [], search: 'ready' },
  ]);
});
