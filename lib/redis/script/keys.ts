import {
  type CounterReference,
  counterReference,
  type ItemReference,
  itemReference,
} from '#lib/domain/reference.ts';

/** The keys of a chat's messages. */
const keysOfChat = (prefix: string) => {
  const ofChat =
    (word: string) =>
    (token: string, chatNumber: number): string =>
      `${prefix}${word}::${token}:${chatNumber}`;
  return {
    /** The newest-messages window (sorted set in answer order; hash of its entries and its state). */
    windowOrder: ofChat('order'),
    windowEntries: ofChat('entries'),
    /** Pending messages: sorted set in answer order; hash messageNumber → command id. */
    pendingOrder: ofChat('pending'),
    pendingIds: ofChat('creates'),
    /** hash messageNumber → id of the newest pending edit. */
    pendingEdits: ofChat('edits'),
  };
};

/** The keys of connections of the WebSocket API. All have leases. */
const keysOfConnections = (prefix: string) => ({
  /** hash: a connection; see connections.lua.ts. */
  connection: (id: string): string => `${prefix}connection::${id}`,
  /** sorted sets by the end of the lease: the connections of a user, and those that subscribe to a feed. */
  connections: (userId: number): string => `${prefix}connections::${userId}`,
  subscribers: (of: CounterReference): string => `${prefix}subscribers::${counterReference(of)}`,
  /** strings: counters of a connection's frames. */
  frames: (kind: 'all' | 'bad', id: string): string => `${prefix}frames::${kind}:${id}`,
});

/**
 * The names of all keys. The contract defines `<token>` and `<token>:<chatNumber>`. Every other key has a
 * word of its own followed by `::`, which these two cannot contain, so no two names are equal.
 * @param prefix put before every key; a hash tag such as `{chat}:` keeps a clustered server's scripts on one shard
 */
export const createKeys = (prefix = '') => {
  const own = (word: string, ...parts: (string | number)[]): string => `${prefix}${word}::${parts.join(':')}`;
  return {
    prefix,
    applicationCounter: (token: string): string => `${prefix}${token}`,
    chatCounter: (token: string, chatNumber: number): string => `${prefix}${token}:${chatNumber}`,

    counter: (of: CounterReference): string => `${prefix}${counterReference(of)}`,

    /** hash: the state of the gate; see gate.lua.ts. */
    state: own('cell', 'state'),
    /** set: counters (`token`, `token:chatNumber`) that were verified since Redis lost data. */
    verified: own('cell', 'verified'),
    /** A key that never exists. */
    nothing: own('cell', 'nothing'),
    /** string with expiry: a recovery was requested a moment ago. */
    recoveryAsked: own('cell', 'recovery-asked'),
    /** sorted sets by time: counters that changed since the last sync. */
    dirtyApplications: own('dirty', 'applications'),
    dirtyChats: own('dirty', 'chats'),
    /** sorted set by time: read markers that changed since the last sync, as `<user>:<token>:<chatNumber>`. */
    dirtyMarkers: own('dirty', 'markers'),

    /** stream: accepted commands that MySQL does not have yet. */
    outbox: (queue: string): string => own('outbox', queue),
    /** sorted set by version: messages that MySQL has and the index may not. */
    indexOutbox: own('outbox', 'index-message'),

    /** string with expiry: the present generation of a user's access tokens, if it rose within the lifetime of a token. */
    generation: (userId: number): string => `${prefix}generation::${userId}`,
    /** sorted set: deleted messages whose text the index may still have, until a time in microseconds; see deleted-messages.ts. */
    deletions: own('deleted', 'messages'),

    /** sorted set: the pending changes of an application by their numbers; see changes.lua.ts. */
    changes: (token: string): string => own('changes', token),
    /** string with expiry: the newest change number of an application or a chat that somebody watches. */
    watched: (of: CounterReference): string => own('watched', counterReference(of)),
    /** string with expiry: an edit reads the item's version from MySQL; see accept.ts. */
    lookedUp: (item: ItemReference): string => own('looked-up', itemReference(item)),
    /** string with expiry: fingerprint, answer and command id of the first request with an Idempotency-Key. */
    idempotency: (hash: string): string => own('idempotency', hash),
    /**
     * Counters of failed sign-ins; `hash` identifies the account, or the account and the client's address.
     */
    signIn: (
      kind: 'attempts' | 'account' | 'known' | 'turn' | 'running' | 'account-running',
      hash: string,
    ): string => own('sign-in', kind, hash),
    /** Counters of the rate limiter: one `:<subject>` each. */
    rateLimit: (routeClass: string): string => own('limit', routeClass),

    /** sorted set: a user's applications that MySQL does not have yet. */
    pendingApplications: (userId: number): string => own('user-applications', userId),
    /** hash: name, creator; kept while commands are pending, and an hour longer. */
    application: (token: string): string => own('application', token),
    /** hash chatNumber → version, creator and title of chats with pending commands; `c<chatNumber>` → pending creation. */
    pendingChats: (token: string): string => own('chats', token),
    /** hash with expiry: chatNumber → the highest message number that the user has read; see markers.lua.ts. */
    readMarkers: (userId: number, token: string): string => own('read', userId, token),
    ...keysOfChat(prefix),
    ...keysOfConnections(prefix),
  };
};

export type Keys = ReturnType<typeof createKeys>;
