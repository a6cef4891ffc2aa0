import { expect, test } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { createWithoutDeleted } from '#lib/reading/deletions.ts';

const hits = [1, 2, 3, 4].map((messageNumber) => ({ chatNumber: 1, messageNumber }));
/** Redis knows that message 2 is deleted, and MySQL that 3 is. MySQL does not have message 4. */
const rows = new Map([
  ['app:1:1', { isDeleted: false, commandId: 1 }],
  ['app:1:2', { isDeleted: false, commandId: 2 }],
  ['app:1:3', { isDeleted: true, commandId: 3 }],
]);
const shown = async (
  redis: 'knows all' | 'may have lost some' | 'down',
  mysql: 'up' | 'down',
  found = hits,
) => {
  const withoutDeleted = createWithoutDeleted({
    counters: {
      read: async (of) => {
        if (redis === 'down') throw unavailable('Redis does not answer.');
        return of.map(({ chatNumber }) => (chatNumber === 2 ? 'missing' : chatNumber === 3 ? 'unknown' : 9));
      },
    },
    chats: {
      deletedAmong: async (of) => {
        if (mysql === 'down') throw unavailable('The database does not answer.');
        return new Set(of.map(chatReference).filter((chat) => chat !== 'app:1'));
      },
    },
    deletedMessages: {
      among: async () => {
        if (redis === 'down') throw unavailable('Redis does not answer.');
        return { deleted: new Set(['app:1:2']), knowsAll: redis === 'knows all' };
      },
    },
    messages: {
      states: async () => {
        if (mysql === 'down') throw unavailable('The database does not answer.');
        return rows;
      },
    },
  });
  return (await withoutDeleted('app', found)).map(({ messageNumber }) => messageNumber);
};

test.each([
  ['knows all', 'up', [1, 3, 4]],
  ['knows all', 'down', [1, 3, 4]],
  ['may have lost some', 'up', [1]],
  ['down', 'up', [1, 2]],
] as const)('if Redis %s and MySQL is %s, a search shows %j', async (redis, mysql, expected) => {
  expect(await shown(redis, mysql)).toEqual(expected);
});

test.each(['may have lost some', 'down'] as const)(
  'if Redis %s and MySQL is down, nobody can tell',
  async (redis) => {
    await expect(shown(redis, 'down')).rejects.toMatchObject({ code: 'unavailable' });
  },
);

/** Redis knows that chat 2 is deleted, and only MySQL that chat 3 is. */
const ofDeletedChats = [2, 3].map((chatNumber) => ({ chatNumber, messageNumber: 1 }));

test('hits of deleted chats are left out, whichever server knows', async () => {
  const found = [...hits.slice(0, 1), ...ofDeletedChats];
  expect(await shown('knows all', 'up', found)).toEqual([1]);
  expect(await shown('down', 'up', found)).toEqual([1]);
  await expect(shown('knows all', 'down', found)).rejects.toMatchObject({ code: 'unavailable' });
});
