import type { ClosingReason, ServerFrame } from '#lib/contracts/frames/server.ts';
import { type Post, postsAnswer } from '#lib/contracts/posts.ts';
import type { Invoke } from '#lib/lambda/invoke.ts';
import type { Connections } from '#lib/redis/live/connections.ts';

/** A call of a function carries 6 MB at most. */
const CALL_BYTES = 4 * 1024 * 1024;
/** The room of a connection's id in a call. */
const ID_BYTES = 64;

const bytesOf = ({ connections, frames }: Post): number =>
  connections.length * ID_BYTES + frames.reduce((sum, frame) => sum + 2 * Buffer.byteLength(frame), 0);

/** Posts in calls of a bounded size. */
const callsOf = (posts: readonly Post[]): Post[][] => {
  const calls: Post[][] = [];
  let left = 0;
  for (const post of posts) {
    const bytes = bytesOf(post);
    if (bytes > left || calls.length === 0) {
      calls.push([]);
      left = CALL_BYTES;
    }
    calls.at(-1)?.push(post);
    left -= bytes;
  }
  return calls;
};

/** Numbers of posts. `slow`: connections that were closed because they did not keep up. */
export type Posted = { gone: number; slow: number };

const closingFrame = (reason: ClosingReason): string =>
  JSON.stringify({ type: 'closing', reason } satisfies ServerFrame);

/** Posts frames to connections, by a function that can reach them, and forgets the connections that have ended. */
export const createPosting = ({
  invoke,
  connections,
}: {
  /** Invokes `postToConnections`. */
  invoke: Invoke;
  connections: Pick<Connections, 'forget'>;
}) => {
  const send = async (posts: readonly Post[]) => {
    const answers = await Promise.all(callsOf(posts).map((part) => invoke({ posts: part })));
    const parsed = answers.map((answer) => postsAnswer.parse(answer));
    return { gone: parsed.flatMap(({ gone }) => gone), slow: parsed.flatMap(({ slow }) => slow) };
  };

  /** @throws Error if the function cannot be invoked; each frame may or may not have arrived */
  const post = async (posts: readonly Post[]): Promise<Posted> => {
    if (posts.length === 0) return { gone: 0, slow: 0 };
    const { gone, slow } = await send(posts);
    // A frame is missing there, or may be. The client finds it when it connects again.
    if (slow.length > 0) await send([{ connections: slow, frames: [closingFrame('too-slow')], close: true }]);
    await connections.forget([...gone, ...slow]);
    return { gone: gone.length, slow: slow.length };
  };

  return {
    post,
    /** Tells connections why they end, and closes them. @throws Error as `post` does */
    close: (ids: readonly string[], reason: ClosingReason): Promise<Posted> =>
      post(ids.length === 0 ? [] : [{ connections: [...ids], frames: [closingFrame(reason)], close: true }]),
  };
};

export type Posting = ReturnType<typeof createPosting>;
