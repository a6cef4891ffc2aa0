import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionsClient, PostResult } from '#lib/connections/client.ts';
import { type Post, type PostsAnswer, posts } from '#lib/contracts/posts.ts';
import { type JobContext, jobHandler } from '#lib/job/job-handler.ts';
import { connectionsClient } from '#lib/runtime/services/connections.ts';
import { now } from '#lib/runtime/services/settings.ts';

/** Connections that are posted to at once. */
const AT_ONCE = 100;
/** The time in which a busy connection may become ready, and the pause between two tries. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 250;

type Uses = { connectionsClient: ConnectionsClient; now: () => number };
type Task = { id: string } & Pick<Post, 'frames' | 'close'>;

const postPatiently = async (
  id: string,
  frame: string,
  { connectionsClient, now }: Uses,
): Promise<PostResult> => {
  const untilMs = now() + PATIENCE_MS;
  for (;;) {
    const result = await connectionsClient.post(id, frame);
    if (result !== 'busy' || now() + PAUSE_MS > untilMs) return result;
    await delay(PAUSE_MS);
  }
};

/** Posts frames in their order, up to the first that does not arrive, and closes the connection if that is asked for. */
const serve = async ({ id, frames, close }: Task, uses: Uses): Promise<PostResult> => {
  let result: PostResult = 'ok';
  for (const frame of frames) {
    result = await postPatiently(id, frame, uses);
    if (result !== 'ok') break;
  }
  if (close && result !== 'gone') await uses.connectionsClient.close(id);
  return result;
};

/** Posts frames to connections. A connection that did not take a frame in time is reported as slow. */
export const postToConnections = async (
  { options }: Pick<JobContext<{ posts: Post[] }>, 'options'>,
  uses: Uses,
): Promise<PostsAnswer> => {
  const tasks = options.posts.flatMap(({ connections, ...what }) =>
    connections.map((id) => ({ id, ...what })),
  );
  const gone = new Set<string>();
  const slow = new Set<string>();
  const queue = tasks.values();
  const work = async () => {
    for (const task of queue) {
      const result = await serve(task, uses);
      if (result === 'gone') gone.add(task.id);
      else if (result !== 'ok') slow.add(task.id);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, tasks.length) }, work));
  return { gone: [...gone], slow: [...slow] };
};

export const handler = jobHandler(posts, postToConnections, { connectionsClient, now }, { logReport: false });
