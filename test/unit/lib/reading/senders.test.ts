import { expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import type { Message } from '#lib/domain/message.ts';
import { createWithSenders } from '#lib/reading/senders.ts';

const message = (messageNumber: number, senderId: number, sender?: string | null): Message => ({
  token: 'token',
  chatNumber: 1,
  messageNumber,
  senderId,
  ...(sender === undefined ? {} : { sender }),
  senderName: 'Ada',
  body: 'hello',
  createdAtMs: 0,
  version: 1,
});

const usersWith = (handles: Record<number, string>) => {
  const queries: (readonly number[])[] = [];
  return {
    queries,
    users: {
      findHandles: async (ids: readonly number[]) => {
        queries.push(ids);
        return new Map(ids.flatMap((id) => (handles[id] === undefined ? [] : [[id, handles[id]] as const])));
      },
    },
  };
};

it('asks once for all senders of a page that Redis keeps without a handle, and remembers them', async () => {
  const { users, queries } = usersWith({ 7: 'ada', 8: 'bob' });
  const withSenders = createWithSenders({ users });
  const page = [message(4, 7), message(3, 8), message(2, 7), message(1, 9, 'eve')];
  expect((await withSenders(page)).map(({ sender }) => sender)).toEqual(['ada', 'bob', 'ada', 'eve']);
  expect((await withSenders(page)).map(({ sender }) => sender)).toEqual(['ada', 'bob', 'ada', 'eve']);
  expect(queries).toEqual([[7, 8]]);
});

it('asks nobody when every message has its sender, or had one who was erased', async () => {
  const { users, queries } = usersWith({ 7: 'ada' });
  const page = [message(2, 7, 'ada'), message(1, 7, null)];
  expect(await createWithSenders({ users })(page)).toEqual(page);
  expect(queries).toEqual([]);
});

it('shows messages without their sender while MySQL does not answer', async () => {
  const users = { findHandles: () => Promise.reject(unavailable('The database does not answer.')) };
  expect((await createWithSenders({ users })([message(1, 7)]))[0]?.sender).toBeUndefined();
});

it('does not wait long for a server that is silent', async () => {
  const users = { findHandles: () => new Promise<Map<number, string>>(() => undefined) };
  expect((await createWithSenders({ users })([message(1, 7)]))[0]?.sender).toBeUndefined();
});
