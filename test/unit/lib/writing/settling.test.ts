import { describe, expect, test } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import type { IssuedChange } from '#lib/redis/changes/pending-changes.ts';
import type { Settles } from '#lib/redis/commands/all.ts';
import { createSettling } from '#lib/writing/settling.ts';

const issued = (changeNumber: number): IssuedChange => ({
  type: 'chat.created',
  token: 'token',
  chatNumber: 1,
  changeNumber,
  before: {},
  member: 'chat.created:1:0:1',
  movesWitness: true,
});

/** Settling that issues a number, and removing that answers other numbers at first. */
const givenSettling = (removals: IssuedChange[][], isMysqlAway = false) => {
  const steps: string[] = [];
  const settle = async () => {
    steps.push('settle');
    return [issued(16)];
  };
  const settles: Settles = {
    'create-application': async () => [],
    'update-application': settle,
    'create-chat': settle,
    'update-chat': settle,
    'create-message': settle,
    'update-message': settle,
    'index-message': async () => undefined,
  };
  const settling = createSettling({
    settles,
    changes: {
      insert: async (queue, changes) => {
        if (isMysqlAway) throw unavailable('The database does not answer.');
        steps.push(`insert ${changes.map(({ changeNumber }) => changeNumber)} of ${queue}`);
      },
    },
    pendingChanges: {
      remove: async (changes) => {
        steps.push(`remove ${changes.map(({ changeNumber }) => changeNumber)}`);
        return removals.shift() ?? [];
      },
    },
  });
  return { steps, settling };
};
const nothing = { stored: [], dead: [] };

describe('settling', () => {
  test('stores fresh numbers before it ends them in Redis', async () => {
    const { steps, settling } = givenSettling([]);
    await settling['create-chat'](nothing);
    expect(steps).toEqual(['settle', 'insert 16 of create-chat', 'remove 16']);
  });

  test('stores the other numbers of changes that a rollback has removed', async () => {
    const { steps, settling } = givenSettling([[issued(32)]]);
    await settling['update-chat'](nothing);
    expect(steps.slice(3)).toEqual(['insert 32 of update-chat', 'remove 32']);
  });

  test('asks nothing of MySQL without fresh numbers', async () => {
    const { steps, settling } = givenSettling([]);
    await settling['create-application'](nothing);
    expect(steps).toEqual([]);
  });

  test('leaves the numbers pending without MySQL, so that the next delivery finds them', async () => {
    const { steps, settling } = givenSettling([], true);
    await expect(settling['create-message'](nothing)).rejects.toMatchObject({ code: 'unavailable' });
    expect(steps).toEqual(['settle']);
  });
});
