/** How a chat is named in members and values, and its counter among the keys. */
export const chatMember = (token: string, chatNumber: number): string => `${token}:${chatNumber}`;

/**
 * Names of all keys. `<token>` and `<token>:<chatNumber>` are fixed by the contract. Every other key has `::` behind a
 * word of its own, which neither of those can have: no two names are ever equal, whatever the token.
 * @param prefix put before every key; a hash tag such as `{chat}:` keeps a clustered server's scripts on one shard
 */
export const createKeys = (prefix = '') => {
  const own = (word: string, ...parts: (string | number)[]): string => `${prefix}${word}::${parts.join(':')}`;
  const ofChat =
    (word: string) =>
    (token: string, chatNumber: number): string =>
      `${prefix}${word}::${token}:${chatNumber}`;
  return {
    prefix,
    applicationCounter: (token: string): string => `${prefix}${token}`,
    chatCounter: (token: string, chatNumber: number): string => `${prefix}${token}:${chatNumber}`,

    /** hash: what is known of the server run; see gate.lua.ts. */
    state: own('cell', 'state'),
    /** set: counters (`token`, `token:chatNumber`) that were compared with MySQL since Redis lost something. */
    verified: own('cell', 'verified'),
    /** string with expiry: somebody asked for a recovery a moment ago. */
    recoveryAsked: own('cell', 'recovery-asked'),
    /** sorted sets by time: counters that moved since the last sync. */
    dirtyApplications: own('dirty', 'applications'),
    dirtyChats: own('dirty', 'chats'),

    /** stream: accepted commands that MySQL does not have yet. */
    outbox: (queue: string): string => own('outbox', queue),
    /** sorted set by version: messages that MySQL has and the index may not. */
    indexOutbox: own('outbox', 'index-message'),

    /** string with expiry: fingerprint, answer and command id of the first request with an Idempotency-Key. */
    idempotency: (hash: string): string => own('idempotency', hash),
    /** Of failed sign-ins; `hash` names the account, or the account and the client's address. */
    signIn: (kind: 'attempts' | 'account' | 'known' | 'turn', hash: string): string =>
      own('sign-in', kind, hash),
    /** Counters of the rate limiter: one `:<subject>` each. */
    rateLimit: (routeClass: string): string => own('limit', routeClass),

    /** sorted set: a user's applications that MySQL does not have yet. */
    pendingApplications: (userId: number): string => own('user-applications', userId),
    /** hash: name, creator; kept while commands are on the way, and an hour longer. */
    application: (token: string): string => own('application', token),
    /** hash chatNumber → title: chats that MySQL does not have yet. */
    pendingChats: (token: string): string => own('chats', token),
    /** The newest-messages window (sorted set in answer order; hash of its entries and its state). */
    windowOrder: ofChat('order'),
    windowEntries: ofChat('entries'),
    /** Messages on the way to MySQL: sorted set in answer order; hash messageNumber → command id. */
    pendingOrder: ofChat('pending'),
    pendingIds: ofChat('creates'),
    /** hash messageNumber → id of the newest edit on the way to MySQL. */
    pendingEdits: ofChat('edits'),
  };
};

export type Keys = ReturnType<typeof createKeys>;
