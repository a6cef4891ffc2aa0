/**
 * Names of all keys. `<token>` and `<token>:<chatNumber>` are fixed by the contract; every other key has a part
 * that no token (no ':') and no chat number (digits) can be, so that none is ever taken for a counter.
 * @param prefix put before every key; a hash tag such as `{chat}:` keeps a clustered server's scripts on one shard
 */
export const createKeys = (prefix = '') => {
  const application = (token: string) => `${prefix}${token}`;
  const chat = (token: string, chatNumber: number) => `${prefix}${token}:${chatNumber}`;
  return {
    prefix,
    /** hash: `run` the server run for which the counters are known to be complete, `epoch`, `clock`, `closedAt:<run>`. */
    state: `${prefix}cell:state`,
    /** stream: accepted commands that MySQL does not have yet. */
    outbox: (queue: string) => `${prefix}outbox:${queue}`,
    /** sorted set by version: messages that MySQL has and the index may not. */
    indexOutbox: `${prefix}outbox:index-message`,
    /** hash: how far each outbox was published again. */
    relayed: `${prefix}cell:relayed`,
    /** sorted sets by time: counters that moved since the last sync. */
    dirtyApplications: `${prefix}dirty:applications`,
    dirtyChats: `${prefix}dirty:chats`,
    idempotency: (hash: string) => `${prefix}idempotency:${hash}`,
    /** Of failed sign-ins; `hash` names the account, or the account and the client's address. */
    signIn: (kind: 'attempts' | 'account' | 'known' | 'turn', hash: string) =>
      `${prefix}sign-in:${kind}:${hash}`,
    /** Counters of the rate limiter: one `:<subject>` each. */
    rateLimit: (routeClass: string) => `${prefix}limit:${routeClass}`,
    /** Present while commands of a queue were deferred not long ago. */
    deferred: (queue: string) => `${prefix}cell:deferred:${queue}`,
    barrier: (id: string) => `${prefix}barrier:${id}`,
    /** sorted set: a user's applications that MySQL does not have yet. */
    pendingApplications: (userId: number) => `${prefix}user:${userId}:applications`,
    applicationCounter: application,
    /** hash: name, creator; kept while commands are on the way, and an hour longer. */
    application: (token: string) => `${application(token)}:application`,
    /** hash chatNumber → title: chats that MySQL does not have yet. */
    pendingChats: (token: string) => `${application(token)}:chats`,
    chatCounter: chat,
    /** The newest-messages window (sorted set in answer order; hash of its entries and its state). */
    windowOrder: (token: string, chatNumber: number) => `${chat(token, chatNumber)}:order`,
    windowEntries: (token: string, chatNumber: number) => `${chat(token, chatNumber)}:entries`,
    /** Messages on the way to MySQL: sorted set in answer order; hash messageNumber → command id. */
    pendingOrder: (token: string, chatNumber: number) => `${chat(token, chatNumber)}:pending`,
    pendingIds: (token: string, chatNumber: number) => `${chat(token, chatNumber)}:creates`,
    /** hash messageNumber → id of the newest edit on the way to MySQL. */
    pendingEdits: (token: string, chatNumber: number) => `${chat(token, chatNumber)}:edits`,
  };
};

export type Keys = ReturnType<typeof createKeys>;
