import * as z from 'zod';
import { connectionId } from './signals.ts';

/** Frames for connections, in their order. `close`: the connections are closed after them. */
const post = z.strictObject({
  connections: z.array(connectionId),
  frames: z.array(z.string()),
  close: z.boolean().optional(),
});
export const posts = z.strictObject({ posts: z.array(post) });
export type Post = z.output<typeof post>;

/**
 * What became of posts. `gone`: connections that do not exist any more. `slow`: connections that did not take a frame in time, or for
 * which that is not known. All others took everything.
 */
export const postsAnswer = z.object({ gone: z.array(connectionId), slow: z.array(connectionId) });
export type PostsAnswer = z.output<typeof postsAnswer>;
