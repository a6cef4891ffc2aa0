import { describe, expect, it } from 'vitest';
import type { Post } from '#lib/contracts/posts.ts';
import type { NumberedChange } from '#lib/domain/change.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import { createFanOut } from '#lib/live/fan-out.ts';

const message = (
  changeNumber: number,
  before: NumberedChange['before'],
  messageNumber = 1,
): NumberedChange => ({
  type: 'message.created',
  token: 'app',
  chatNumber: 1,
  messageNumber,
  changeNumber,
  before,
});

type Found = { ids: string[]; ended: { id: string; reason: 'idle' | 'token-expired' }[] };

const run = async (
  changes: NumberedChange[],
  subscribers: Record<string, Partial<Found>>,
  { body = 'hi', fails = false, missing = [] as number[] } = {},
) => {
  const posts: Post[] = [];
  const closed: [string, readonly string[]][] = [];
  const ended: string[] = [];
  const read: number[][] = [];
  const fanOut = createFanOut({
    connections: {
      subscribers: async (feeds: readonly CounterReference[]) =>
        feeds.map((of) => ({ ids: [], ended: [], ...subscribers[counterReference(of)] })),
      readers: async () => ['reader'],
      endFeeds: async (feeds) => {
        ended.push(...feeds.map(counterReference));
      },
    },
    readChangeContent: async (bare) => {
      read.push(bare.map(({ changeNumber }) => changeNumber));
      if (fails) throw unavailable('MySQL does not answer.');
      return bare
        .filter(({ changeNumber }) => !missing.includes(changeNumber))
        .map((change) => ({
          ...change,
          date: '2026-01-01T00:00:00.000Z',
          message: {
            messageNumber: 1,
            senderName: 'Ada',
            body,
            createdAt: '2026-01-01T00:00:00.000Z',
            changeNumber: change.changeNumber,
          },
        }));
    },
    posting: {
      post: async (given) => {
        posts.push(...given);
        return { gone: 0, slow: 1 };
      },
      close: async (ids, reason) => {
        closed.push([reason, ids]);
        return { gone: 0, slow: 0 };
      },
    },
  });
  const posted = await fanOut.send(changes);
  const frames = posts.map((post) => ({
    connections: post.connections,
    frames: post.frames.map((frame) => JSON.parse(frame)),
  }));
  return { posts, frames, closed, ended, read, posted, fanOut };
};

describe('changes', () => {
  it('go in one frame a feed, in their order, each with the change before it', async () => {
    const { frames } = await run(
      [message(32, { application: 16, chat: 16 }, 2), message(16, { application: 8, chat: 4 })],
      { app: { ids: ['a'] }, 'app:1': { ids: ['b', 'c'] } },
    );
    expect(frames).toEqual([
      {
        connections: ['a'],
        frames: [
          {
            type: 'events',
            token: 'app',
            items: [
              expect.objectContaining({ changeNumber: 16, previous: 8, messageNumber: 1 }),
              expect.objectContaining({ changeNumber: 32, previous: 16, messageNumber: 2 }),
            ],
          },
        ],
      },
      {
        connections: ['b', 'c'],
        frames: [
          {
            type: 'events',
            token: 'app',
            chatNumber: 1,
            items: [
              expect.objectContaining({ changeNumber: 16, previous: 4 }),
              expect.objectContaining({ changeNumber: 32, previous: 16 }),
            ],
          },
        ],
      },
    ]);
    expect(JSON.stringify(frames)).not.toContain('before');
  });

  it('are read only if somebody subscribes', async () => {
    const { frames, read } = await run([message(16, { application: 8 })], {});
    expect(frames).toEqual([]);
    expect(read).toEqual([[]]);
  });

  it('fill frames of 32 KB at most', async () => {
    const changes = Array.from({ length: 20 }, (_, i) => message(16 * (i + 1), { chat: 16 * i }, i + 1));
    const { posts, frames } = await run(changes, { 'app:1': { ids: ['a'] } }, { body: '€'.repeat(3_000) });
    const [post] = posts;
    expect(post?.frames.length).toBeGreaterThan(1);
    for (const frame of post?.frames ?? []) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(32 * 1024);
    const numbers = frames[0]?.frames.flatMap(({ items }) =>
      items.map(({ changeNumber }: { changeNumber: number }) => changeNumber),
    );
    expect(numbers).toEqual(changes.map(({ changeNumber }) => changeNumber));
  });

  it('come without content when it cannot be read, and not at all when they no longer exist', async () => {
    const subscribers = { 'app:1': { ids: ['a'] } };
    const bare = await run([message(16, { chat: 8 })], subscribers, { fails: true });
    expect(bare.frames[0]?.frames[0].items).toEqual([
      {
        type: 'message.created',
        token: 'app',
        chatNumber: 1,
        messageNumber: 1,
        changeNumber: 16,
        previous: 8,
        date: expect.any(String),
      },
    ]);
    const gone = await run([message(16, { chat: 8 })], subscribers, { missing: [16] });
    expect(gone.frames).toEqual([]);
  });

  it('close connections whose lease has ended, and count what became of posts', async () => {
    const { closed, posted } = await run([message(16, { chat: 8 })], {
      'app:1': { ids: ['a'], ended: [{ id: 'late', reason: 'token-expired' }] },
    });
    expect(closed).toEqual([['token-expired', ['late']]]);
    expect(posted).toEqual({ gone: 0, slow: 1 });
  });

  it('that delete a chat or an application end the subscriptions to it', async () => {
    const before = { application: 8, chat: 8 };
    const { ended } = await run(
      [
        { type: 'chat.deleted', token: 'app', chatNumber: 1, changeNumber: 16, before },
        { type: 'application.deleted', token: 'other', changeNumber: 32, before: { application: 8 } },
        message(48, before),
      ],
      { app: { ids: ['a'] } },
    );
    expect(ended).toEqual(['app:1', 'other']);
  });
});

it('tells the connections of a reader how far the chat is read', async () => {
  const { fanOut, posts } = await run([], {});
  await fanOut.sendReads([{ userId: 7, token: 'app', chatNumber: 1, messageNumber: 5 }]);
  expect(posts).toEqual([
    {
      connections: ['reader'],
      frames: ['{"type":"read","token":"app","chatNumber":1,"messageNumber":5}'],
    },
  ]);
});
