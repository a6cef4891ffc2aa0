import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { notFound, notKnownYet } from '#lib/domain/errors.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Directory } from '#lib/redis/window/directory.ts';

type Listed = { token: string; name: string; chatsCount: number };
/** An application with the version of its name. `upTo`: it has every change up to there; undefined if it may lag. */
type Versioned = Listed & { version: number; upTo?: number | undefined };

/** The most pending applications of a user that a list reads. */
const PENDING = 1_000;

/** Reads accepted applications, stored or pending. Counts come from the counters. */
export const createApplicationDirectory = ({
  directory,
  counters,
  applications,
}: {
  directory: Directory;
  counters: Pick<Counters, 'read' | 'look'>;
  applications: Pick<Applications, 'find' | 'findAll' | 'listByCreator'>;
}) => ({
  /** @throws not-found, unavailable */
  get: async (token: string): Promise<Versioned> => {
    const [looked, entry] = (await ifAvailable(
      Promise.all([counters.look([{ token }]), directory.application(token)]),
    )) ?? [undefined, undefined];
    const [count = 'unknown'] = looked?.counts ?? [];
    const upTo = count === 'unknown' ? undefined : looked?.upTo;
    if (count === 'missing') throw notFound('application');
    if (entry !== undefined && count !== 'unknown')
      return { token, name: entry.name, chatsCount: count, version: entry.version, upTo };
    const row = await applications.find(token);
    if (row?.isDeleted) throw notFound('application');
    const named = entry ?? row;
    if (named === undefined) throw count === 'unknown' ? notKnownYet('application') : notFound('application');
    const { name, version } = named;
    return { token, name, chatsCount: count === 'unknown' ? (row?.chatsCount ?? 0) : count, version, upTo };
  },

  /**
   * The applications of a user, newest first. An application that was deleted a moment ago makes the page shorter. `hasMore`: so there
   * are more behind it. @throws unavailable
   */
  list: async (
    creatorId: number,
    { skip, count }: { skip: number; count: number },
  ): Promise<{ items: Listed[]; hasMore: boolean }> => {
    const pending = (await ifAvailable(directory.pendingApplications(creatorId, PENDING))) ?? [];
    // One more than wanted shows whether there are more.
    const first = pending.slice(skip, skip + count + 1);
    const missing = count + 1 - first.length;
    // An application that was stored a moment ago may be in both lists. It counts as pending.
    const rows =
      missing === 0
        ? []
        : await applications.listByCreator(creatorId, {
            skip: Math.max(0, skip - pending.length),
            count: missing,
            except: pending,
          });
    const found = [...first.map((token) => ({ token, name: undefined, chatsCount: 0 })), ...rows];
    const page = found.slice(0, count);
    const tokens = page.map(({ token }) => token);
    const [names, counts] = (await ifAvailable(
      Promise.all([directory.applicationNames(tokens), counters.read(tokens.map((token) => ({ token })))]),
    )) ?? [new Map<string, string>(), []];
    // After a rollback, Redis may show an application as pending that is stored or deleted since.
    const unsure = page.filter(
      ({ token, name }, i) => name === undefined && (!names.has(token) || counts[i] === 'unknown'),
    );
    const stored = await applications.findAll(unsure.map(({ token }) => token));
    const items = page.flatMap(({ token, name, chatsCount }, i) => {
      const row = stored.get(token);
      const current = names.get(token) ?? name ?? row?.name;
      const count = counts[i];
      if (current === undefined || count === 'missing' || row?.isDeleted) return [];
      return [
        {
          token,
          name: current,
          chatsCount: typeof count === 'number' ? count : (row?.chatsCount ?? chatsCount),
        },
      ];
    });
    return { items, hasMore: found.length > count };
  },
});

export type ApplicationDirectory = ReturnType<typeof createApplicationDirectory>;
