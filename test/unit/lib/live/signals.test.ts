import { expect, it } from 'vitest';
import { signal } from '#lib/contracts/signals.ts';
import { createSignals } from '#lib/live/signals.ts';

const run = (publishSignal: (queue: string, content: object) => Promise<void>) => {
  const failed: string[] = [];
  const signals = createSignals({
    publisher: { publishSignal },
    onUnpublished: (queue) => failed.push(queue),
  });
  return { signals, failed };
};

it('every signal is one that pushEvents reads', async () => {
  const published: [string, unknown][] = [];
  const { signals } = run(async (queue, content) => {
    published.push([queue, signal.parse(JSON.parse(JSON.stringify(content)))]);
  });
  const change = {
    type: 'message.created',
    token: 'app',
    chatNumber: 1,
    messageNumber: 2,
    changeNumber: 16,
  } as const;
  const settled = { ...change, before: { chat: 0 }, member: 'm', movesWitness: true };
  await signals.announce([settled, { ...change, before: {} }]);
  await signals.read({ id: 7 }, { token: 'app', chatNumber: 1 }, 2);
  await signals.close(
    Array.from({ length: 1_001 }, (_, i) => `${i}=`),
    'signed-out',
  );
  await signals.checkLater('one=');
  expect(published.map(([queue]) => queue)).toEqual([
    'push-event',
    'push-event',
    'push-event',
    'push-event',
    'push-event.later',
  ]);
  expect(published[0]?.[1]).toEqual({ change: { ...change, before: { chat: 0 } } });
});

it('a lost signal is reported, and fails nobody', async () => {
  const { signals, failed } = run(() => Promise.reject(new Error('The broker is down')));
  await signals.checkLater('one=');
  await signals.close(['one='], 'idle');
  expect(failed).toEqual(['push-event.later', 'push-event']);
});
