import { expect, test, vi } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { createEraseAtOnce } from '#lib/writing/erase-at-once.ts';

const message = { token: 'app', chatNumber: 1, messageNumber: 2 };
const date = '2026-01-01T00:00:00.000Z';
/** Redis' clock may be ahead of the handler's. The id has the time that counts. */
const at = { deletedAtMs: Date.parse(date) + 1, commandId: (Date.parse(date) + 1) * 1000 + 17 };
const origin = { date, commandId: at.commandId, epoch: 1 };
const deletion = JSON.stringify({ ...message, body: '', deleted: true, ...origin });

const given = (blank: () => Promise<void>) => {
  const onFailure = vi.fn<(error: Error) => void>();
  const applications = { blank: vi.fn(blank) };
  const chats = { blank: vi.fn(blank) };
  const messages = { blank: vi.fn(blank) };
  const eraseAtOnce = createEraseAtOnce({ applications, chats, messages, onFailure });
  return { applications, chats, messages, onFailure, eraseAtOnce };
};

test('a deletion blanks its message at the time and with the id of its command', async () => {
  const { messages, onFailure, eraseAtOnce } = given(async () => undefined);
  await eraseAtOnce('update-message', deletion);
  expect(messages.blank).toHaveBeenCalledExactlyOnceWith(expect.objectContaining(message), at);
  expect(onFailure).not.toHaveBeenCalled();
});

test('other commands change nothing', async () => {
  const { messages, eraseAtOnce } = given(async () => undefined);
  await eraseAtOnce('update-message', JSON.stringify({ ...message, body: 'b', ...origin }));
  await eraseAtOnce('create-message', deletion);
  expect(messages.blank).not.toHaveBeenCalled();
});

test('an outage of MySQL is noted, and the deletion is accepted', async () => {
  const failure = unavailable('The database does not answer.');
  const { onFailure, eraseAtOnce } = given(() => Promise.reject(failure));
  await eraseAtOnce('update-message', deletion);
  expect(onFailure).toHaveBeenCalledExactlyOnceWith(failure);
});

test('a slow MySQL is waited for one second', async () => {
  vi.useFakeTimers();
  try {
    const { onFailure, eraseAtOnce } = given(() => new Promise(() => undefined));
    const done = eraseAtOnce('update-message', deletion);
    await vi.advanceTimersByTimeAsync(1_000);
    await done;
    expect(onFailure).toHaveBeenCalledOnce();
  } finally {
    vi.useRealTimers();
  }
});

test('a deletion of a chat, and of an application, blanks its row', async () => {
  const { applications, chats, eraseAtOnce } = given(async () => undefined);
  await eraseAtOnce('update-chat', JSON.stringify({ token: 'app', chatNumber: 1, deleted: true, ...origin }));
  expect(chats.blank).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ token: 'app', chatNumber: 1 }),
    at,
  );
  await eraseAtOnce('update-application', JSON.stringify({ token: 'app', deleted: true, ...origin }));
  expect(applications.blank).toHaveBeenCalledExactlyOnceWith('app', at);
});
