import type { ServerFrame } from '#lib/contracts/frames/server.ts';
import type { Post } from '#lib/contracts/posts.ts';
import { type ChangeEvent, dateOfChange, type NumberedChange } from '#lib/domain/change.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { ReadChangeContent } from '#lib/reading/change-content.ts';
import type { Connections } from '#lib/redis/live/connections.ts';
import type { Posted, Posting } from './posting.ts';

type Read = { userId: number; token: string; chatNumber: number; messageNumber: number };
type Feed = { of: CounterReference; changes: { change: NumberedChange; previous: number }[] };

type Uses = {
  connections: Pick<Connections, 'subscribers' | 'readers' | 'endFeeds'>;
  readChangeContent: ReadChangeContent;
  posting: Pick<Posting, 'post' | 'close'>;
};

/** The feeds that somebody watches, each with its changes, lowest number first. */
const feedsOf = (changes: readonly NumberedChange[]): Feed[] => {
  const feeds = new Map<string, Feed>();
  const add = (of: CounterReference, change: NumberedChange, previous: number | undefined) => {
    if (previous === undefined) return;
    const feed = feeds.get(counterReference(of)) ?? { of, changes: [] };
    feed.changes.push({ change, previous });
    feeds.set(counterReference(of), feed);
  };
  for (const change of changes) {
    const { token, chatNumber, before } = change;
    add({ token }, change, before.application);
    if (chatNumber !== undefined) add({ token, chatNumber }, change, before.chat);
  }
  return [...feeds.values()];
};

/** Splits the events of a subscription into frames of a bounded size. One event is always smaller. */
const framesOf = ({ token, chatNumber }: CounterReference, items: readonly ChangeEvent[]): string[] => {
  const frame = {
    type: 'events',
    token,
    ...(chatNumber === undefined ? {} : { chatNumber }),
    items: [],
  } satisfies ServerFrame;
  const emptyBytes = Buffer.byteLength(JSON.stringify(frame));
  const parts: ChangeEvent[][] = [];
  let left = 0;
  for (const item of items) {
    const bytes = Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes > left) {
      parts.push([]);
      left = socketLimits.answerBytes - emptyBytes;
    }
    parts.at(-1)?.push(item);
    left -= bytes;
  }
  return parts.map((part) => JSON.stringify({ ...frame, items: part }));
};

/** The feed that a deletion ends. */
const endedBy = ({ type, token, chatNumber }: NumberedChange): CounterReference[] => {
  if (type === 'application.deleted') return [{ token }];
  return type === 'chat.deleted' ? [{ token, chatNumber }] : [];
};

const sumOf = (posted: readonly Posted[]): Posted => ({
  gone: posted.reduce((sum, { gone }) => sum + gone, 0),
  slow: posted.reduce((sum, { slow }) => sum + slow, 0),
});

/** Sends changes to the connections that subscribe to their feeds. */
export const createFanOut = ({ connections, readChangeContent, posting }: Uses) => {
  /** Events by their numbers. No content is better than older content. */
  const read = async (changes: readonly NumberedChange[]): Promise<Map<number, ChangeEvent>> => {
    const bare = changes.map(({ before: _before, ...change }) => change);
    const events = await readChangeContent(bare).catch((error: unknown): ChangeEvent[] => {
      if (!isKnownError(error, 'unavailable')) throw error;
      return bare.map((change) => ({ ...change, date: dateOfChange(change) }));
    });
    return new Map(events.map((event) => [event.changeNumber, event]));
  };

  const postsOf = async (feeds: readonly Feed[], subscribers: readonly string[][]): Promise<Post[]> => {
    const watched = feeds.filter((_, i) => (subscribers[i] ?? []).length > 0);
    const needed = new Map(
      watched.flatMap(({ changes }) => changes.map(({ change }) => [change.changeNumber, change])),
    );
    const events = await read([...needed.values()]);
    return feeds.flatMap(({ of, changes }, i): Post[] => {
      const ids = subscribers[i] ?? [];
      const items = changes.flatMap(({ change, previous }): ChangeEvent[] => {
        const event = events.get(change.changeNumber);
        return event === undefined ? [] : [{ ...event, previous }];
      });
      return ids.length === 0 || items.length === 0
        ? []
        : [{ connections: ids, frames: framesOf(of, items) }];
    });
  };

  return {
    /**
     * Sends changes, at most once. A batch is sorted, because handlers publish at the same time. Connections whose lease
     * has ended are closed. @throws unavailable; the clients find the changes by their pings
     */
    send: async (changes: readonly NumberedChange[]): Promise<Posted> => {
      if (changes.length === 0) return { gone: 0, slow: 0 };
      const sorted = changes.toSorted((one, other) => one.changeNumber - other.changeNumber);
      const feeds = feedsOf(sorted);
      const found = await connections.subscribers(feeds.map(({ of }) => of));
      const posts = await postsOf(
        feeds,
        found.map(({ ids }) => ids),
      );
      const ended = found.flatMap((one) => one.ended);
      const posted = await Promise.all([
        posting.post(posts),
        ...[...Map.groupBy(ended, ({ reason }) => reason)].map(([reason, some]) =>
          posting.close(
            some.map(({ id }) => id),
            reason,
          ),
        ),
      ]);
      await connections.endFeeds(sorted.flatMap(endedBy));
      return sumOf(posted);
    },

    /** Tells the connections of readers how far they have read, if they subscribe to the chat or its application. */
    sendReads: async (reads: readonly Read[]): Promise<Posted> => {
      const posts = await Promise.all(
        reads.map(async ({ userId, ...chat }): Promise<Post> => {
          const frame = { type: 'read', ...chat } satisfies ServerFrame;
          return { connections: await connections.readers(userId, chat), frames: [JSON.stringify(frame)] };
        }),
      );
      return posting.post(posts.filter(({ connections: ids }) => ids.length > 0));
    },
  };
};

export type FanOut = ReturnType<typeof createFanOut>;
