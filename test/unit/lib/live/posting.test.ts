import { describe, expect, it } from 'vitest';
import type { Post } from '#lib/contracts/posts.ts';
import { createPosting } from '#lib/live/posting.ts';

const run = (answerOf: (posts: Post[]) => unknown) => {
  const calls: Post[][] = [];
  const forgotten: string[] = [];
  const posting = createPosting({
    invoke: async (payload) => {
      const { posts } = payload as { posts: Post[] };
      calls.push(posts);
      return answerOf(posts);
    },
    connections: {
      forget: async (ids) => {
        forgotten.push(...ids);
      },
    },
  });
  return { posting, calls, forgotten };
};
const fine = { gone: [], slow: [] };

describe('posts', () => {
  it('forget connections that have gone, and close slow ones with the reason', async () => {
    let calls = 0;
    const {
      posting,
      calls: made,
      forgotten,
    } = run(() => {
      calls += 1;
      return calls === 1 ? { gone: ['a'], slow: ['b'] } : fine;
    });
    expect(await posting.post([{ connections: ['a', 'b', 'c'], frames: ['1'] }])).toEqual({
      gone: 1,
      slow: 1,
    });
    expect(made[1]).toEqual([
      { connections: ['b'], frames: ['{"type":"closing","reason":"too-slow"}'], close: true },
    ]);
    expect(forgotten).toEqual(['a', 'b']);
  });

  it('go in calls of a bounded size, and none without a post', async () => {
    const { posting, calls } = run(() => fine);
    await posting.post([]);
    expect(calls).toEqual([]);
    const frames = ['x'.repeat(1024 * 1024)];
    await posting.post(Array.from({ length: 5 }, () => ({ connections: ['a'], frames })));
    expect(calls.map((posts) => posts.length)).toEqual([1, 1, 1, 1, 1]);
    for (const posts of calls) expect(Buffer.byteLength(JSON.stringify(posts))).toBeLessThan(6 * 1024 * 1024);
  });

  it('tell connections why they end', async () => {
    const { posting, calls } = run(() => fine);
    await posting.close(['a', 'b'], 'signed-out');
    expect(calls).toEqual([
      [{ connections: ['a', 'b'], frames: ['{"type":"closing","reason":"signed-out"}'], close: true }],
    ]);
  });

  it('fail with an answer of another form', async () => {
    const { posting } = run(() => ({ errorMessage: 'failed' }));
    await expect(posting.close(['a'], 'idle')).rejects.toThrow();
  });
});
