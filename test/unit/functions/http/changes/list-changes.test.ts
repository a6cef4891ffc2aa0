import { describe, expect, test } from 'vitest';
import type { Change, ChangeEvent } from '#lib/domain/change.ts';
import { gone } from '#lib/domain/errors.ts';
import { listChanges } from '../../../../../functions/http/changes/list-changes.ts';

const change: Change = { type: 'chat.created', token: 'app', chatNumber: 1, changeNumber: 32 };
const event: ChangeEvent = { ...change, date: '', chat: { chatNumber: 1, messagesCount: 0 } };
const requestOf = <Input>(input: Input) => ({
  input,
  caller: { id: 1, name: 'Ada', generation: 0 },
  credentials: { user: '', password: '' },
  idempotency: undefined,
  clientAddress: '127.0.0.1',
});

const givenFeed = () => {
  const asked: object[] = [];
  return {
    asked,
    uses: {
      readFeed: async (query: object) => {
        asked.push(query);
        return { changeNumber: 48, more: true, items: [change] };
      },
      readChangeContent: async (changes: readonly Change[]) => {
        asked.push(changes);
        return [event];
      },
    },
  };
};

describe('the changes', () => {
  test('of an application are its feed with the content of each item', async () => {
    const { asked, uses } = givenFeed();
    const answer = await listChanges(requestOf({ token: 'app', since: 16, limit: 5 }), uses);
    expect(answer).toEqual({ changeNumber: 48, more: true, items: [event] });
    expect(asked).toEqual([{ token: 'app', since: 16, limit: 5 }, [change]]);
  });

  test('after a position that cannot be continued are an error', async () => {
    const { uses } = givenFeed();
    const readFeed = async () => {
      throw gone('No.');
    };
    const request = requestOf({ token: 'app', since: 16, limit: 5 });
    await expect(listChanges(request, { ...uses, readFeed })).rejects.toMatchObject({ code: 'gone' });
  });
});
