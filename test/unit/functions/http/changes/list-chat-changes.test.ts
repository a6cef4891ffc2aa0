import { expect, test } from 'vitest';
import type { Change, ChangeEvent } from '#lib/domain/change.ts';
import { listChatChanges } from '../../../../../functions/http/changes/list-chat-changes.ts';

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

test('the changes of a chat are those of its own feed', async () => {
  const { asked, uses } = givenFeed();
  await listChatChanges(requestOf({ token: 'app', chatNumber: 3, since: undefined, limit: 100 }), uses);
  expect(asked[0]).toEqual({ token: 'app', chatNumber: 3, since: undefined, limit: 100 });
});
