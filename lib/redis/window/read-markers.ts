import type { ReadMarker } from '#lib/domain/read-marker.ts';
import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate, marks } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { markers } from './markers.lua.ts';

/** Who reads, with the generation of the access token. */
export type Reader = { id: number; generation: number };

/** A marker as far as Redis knows it. Unless it is `sure`, MySQL may have a higher one. */
export type KnownMarker = { number: number; isSure: boolean };

/**
 * The result of raising a marker. 'read': `number` is the present marker, `messagesCount` the highest number of the chat.
 * 'above': the chat has no such message yet. 'unknown': only MySQL knows the present marker. 'ended': so has the access token. 'unverified': the counters of
 * the chat and of its application must be verified first, for the epoch `lost`.
 */
type Raised =
  | { kind: 'read'; number: number; messagesCount: number; hasConnections: boolean }
  | { kind: 'unverified'; lost: string }
  | { kind: 'closed' | 'ended' | 'missing' | 'above' | 'unknown' };

const readScript = defineScript(
  { uses: [gate, markers], keys: ['state', 'read'], args: ['server'], each: { args: ['chat'] } },
  {
    before: 'local epoch, _, lost = readState(state, server)',
    each: /* lua */ `
  local number, isSure = markerOf(read, chat, lost)
  return number and { number, epoch and isSure and '1' or '' }
`,
  },
  expecting<([number: string, isSure: '1' | ''] | null)[]>,
);

const raiseScript = defineScript(
  {
    uses: [gate, marks, markers],
    keys: [
      'state',
      'verified',
      'counter',
      'chatsCounter',
      'generations',
      'read',
      'dirtyMarkers',
      'connections',
    ],
    args: ['server', 'generation', 'parent', 'token', 'chat', 'number', 'stored', 'member'],
  },
  /* lua */ `
local epoch, _, lost, verifying = readState(state, server)
if not epoch then return { 'closed' } end
local count, chats, present = unpack(redis.call('MGET', counter, chatsCounter, generations))
if present and tonumber(generation) < tonumber(present) then return { 'ended' } end
if isDeleted(count) or isDeleted(chats) then return { 'missing' } end
if not isVerified(verifying, verified, parent) or not isVerified(verifying, verified, token) then
  return { 'unverified', lost }
end
if not count or not chats then return { 'missing' } end
if tonumber(number) > tonumber(count) then return { 'above' } end
local known, isSure = markerOf(read, chat, lost)
if not isSure and stored == '' then return { 'unknown' } end
local marker = math.max(tonumber(known or '0'), tonumber(stored ~= '' and stored or '0'))
if tonumber(number) > marker then
  setMarker(read, chat, number, lost, dirtyMarkers, text(nowMicros()), member)
  return { 'read', number, count, redis.call('EXISTS', connections) == 1 and '1' or '' }
end
if not isSure then keepMarker(read, chat, text(marker), lost) end
return { 'read', text(marker), count, '' }
`,
  expecting<
    | ['read', number: string, messagesCount: string, hasConnections: '1' | '']
    | ['unverified', lost: string]
    | ['closed' | 'ended' | 'missing' | 'above' | 'unknown']
  >,
);

/** Removes the mark of markers that MySQL has now. */
const cleanScript = defineScript(
  { uses: [markers], keys: ['dirtyMarkers'], each: { keys: ['read'], args: ['chat', 'member', 'written'] } },
  /* lua */ `
  if (markerOf(read, chat) or '0') == written then redis.call('ZREM', dirtyMarkers, member) end
`,
);

/** A marker's member among the changed ones. */
const memberOf = (userId: number, chat: ChatReference): string => `${userId}:${chatReference(chat)}`;

const parseMember = (member: string): ChatReference & { userId: number } => {
  const [userId, token = '', chatNumber] = member.split(':');
  return { userId: Number(userId), token, chatNumber: Number(chatNumber) };
};

/** Reads and raises the read markers of users, and lists the changed ones for the next sync. */
export const createMarkers = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const readKey = ({ userId, token }: { userId: number; token: string }) => keys.readMarkers(userId, token);

  return {
    /** A user's markers in chats of an application, by their order; undefined where Redis has none. @throws unavailable */
    read: async (
      userId: number,
      token: string,
      chatNumbers: readonly number[],
    ): Promise<(KnownMarker | undefined)[]> => {
      if (chatNumbers.length === 0) return [];
      const found = await guarded(
        client,
        runScript(
          readScript,
          { state: keys.state, read: readKey({ userId, token }) },
          chatNumbers.map((chat) => ({ chat })),
        ),
      );
      return found.map((one) =>
        one === null ? undefined : { number: Number(one[0]), isSure: one[1] === '1' },
      );
    },

    /**
     * Raises a marker to `number`, or keeps the present one if it is higher.
     * @param reader the user, and the generation of the access token
     * @param stored the marker in MySQL, after the outcome 'unknown'
     * @throws unavailable
     */
    raise: async (
      { id: userId, generation }: Reader,
      chat: ChatReference,
      number: number,
      stored: number | undefined,
    ): Promise<Raised> => {
      const reply = await guarded(
        client,
        runScript(raiseScript, {
          state: keys.state,
          verified: keys.verified,
          counter: keys.counter(chat),
          chatsCounter: keys.applicationCounter(chat.token),
          generations: keys.generation(userId),
          generation,
          read: readKey({ userId, ...chat }),
          dirtyMarkers: keys.dirtyMarkers,
          connections: keys.connections(userId),
          parent: chatReference(chat),
          token: chat.token,
          chat: chat.chatNumber,
          number,
          stored: stored ?? '',
          member: memberOf(userId, chat),
        }),
      );
      switch (reply[0]) {
        case 'read':
          return {
            kind: 'read',
            number: Number(reply[1]),
            messagesCount: Number(reply[2]),
            hasConnections: reply[3] === '1',
          };
        case 'unverified':
          return { kind: 'unverified', lost: reply[1] };
        default:
          return { kind: reply[0] };
      }
    },

    /**
     * Markers that changed since the last sync and not after `until` (ms), oldest change first; 0 for an expired one.
     * `skip` is the number of markers that could not be synced in this run.
     */
    dirty: async ({
      until,
      skip,
      count,
    }: {
      until: number;
      skip: number;
      count: number;
    }): Promise<ReadMarker[]> => {
      const members = await guarded(client, ({ redis }) =>
        redis.zrangebyscore(keys.dirtyMarkers, '-inf', until * 1000, 'LIMIT', skip, count),
      );
      const of = members.map(parseMember);
      if (of.length === 0) return [];
      const values = await guarded(client, ({ redis }) =>
        Promise.all(of.map((one) => redis.hget(readKey(one), String(one.chatNumber)))),
      );
      return of.map((one, i) => ({ ...one, number: Number(values[i]?.split(' ')[0] ?? 0) }));
    },

    /** Removes the mark of markers that still equal those in MySQL. */
    clean: async (written: readonly ReadMarker[]): Promise<void> => {
      if (written.length === 0) return;
      await guarded(
        client,
        runScript(
          cleanScript,
          { dirtyMarkers: keys.dirtyMarkers },
          written.map((one) => ({
            read: readKey(one),
            chat: one.chatNumber,
            member: memberOf(one.userId, one),
            written: one.number,
          })),
        ),
      );
    },
  };
};

export type Markers = ReturnType<typeof createMarkers>;
