import { expect, test } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { createWithoutDeleted } from '#lib/reading/deletions.ts';

const hits = [1, 2, 3, 4].map((messageNumber) => ({ chatNumber: 1, messageNumber }));
/** Redis knows that message 2 is deleted, and MySQL that 3 is. MySQL does not have message 4. */
const rows = new Map([
  ['app:1:1', { isDeleted: false, commandId: 1 }],
  ['app:1:2', { isDeleted: false, commandId: 2 }],
  ['app:1:3', { isDeleted: true, commandId: 3 }],
]);
const shown = async (redis: 'knows all' | 'may have lost some' | 'down', mysql: 'up' | 'down') => {
  const withoutDeleted = createWithoutDeleted({
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
  return (await withoutDeleted('app', hits)).map(({ messageNumber }) => messageNumber);
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
