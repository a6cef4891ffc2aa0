import { describe, expect, it } from 'vitest';
import type { PostResult } from '#lib/connections/client.ts';
import type { Post } from '#lib/contracts/posts.ts';
import { postToConnections } from '../../../../functions/outbound/post-to-connections.ts';

const run = async (
  posts: Post[],
  resultOf: (id: string, frame: string) => PostResult = () => 'ok',
  now = () => 0,
) => {
  const calls: string[] = [];
  let running = 0;
  let most = 0;
  const connectionsClient = {
    post: async (id: string, frame: string) => {
      running += 1;
      most = Math.max(most, running);
      calls.push(`${id} ${frame}`);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return resultOf(id, frame);
    },
    close: async (id: string): Promise<PostResult> => {
      calls.push(`${id} closed`);
      return 'ok';
    },
  };
  const answer = await postToConnections({ options: { posts } }, { connectionsClient, now });
  return { answer, calls, most };
};

describe('posts', () => {
  it('reach each connection in their order, which is then closed if that is asked for', async () => {
    const { answer, calls } = await run([{ connections: ['a='], frames: ['1', '2'], close: true }]);
    expect(calls).toEqual(['a= 1', 'a= 2', 'a= closed']);
    expect(answer).toEqual({ gone: [], slow: [] });
  });

  it('reach a hundred connections at once, and no more', async () => {
    const connections = Array.from({ length: 250 }, (_, i) => `${i}`);
    const { calls, most } = await run([{ connections, frames: ['1'] }]);
    expect(calls).toHaveLength(250);
    expect(most).toBe(100);
  });

  it('end at the first frame that does not arrive', async () => {
    const { answer, calls } = await run([{ connections: ['gone', 'unsure'], frames: ['1', '2'] }], (id) =>
      id === 'gone' ? 'gone' : 'unsure',
    );
    expect(calls.sort()).toEqual(['gone 1', 'unsure 1']);
    expect(answer).toEqual({ gone: ['gone'], slow: ['unsure'] });
  });

  it('are tried again while a connection is busy, for a bounded time', async () => {
    let tries = 0;
    const patient = await run([{ connections: ['a'], frames: ['1'] }], () => {
      tries += 1;
      return tries < 3 ? 'busy' : 'ok';
    });
    expect(patient.answer).toEqual({ gone: [], slow: [] });
    expect(patient.calls).toHaveLength(3);
    let nowMs = 0;
    const hopeless = await run(
      [{ connections: ['a'], frames: ['1'] }],
      () => 'busy',
      () => {
        nowMs += 3_000;
        return nowMs;
      },
    );
    expect(hopeless.answer).toEqual({ gone: [], slow: ['a'] });
  });
});
