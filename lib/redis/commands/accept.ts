import { createHash, randomUUID } from 'node:crypto';
import { gather } from '#lib/concurrency/gather.ts';
import {
  type Answer,
  type CommandContract,
  type Given,
  neededItem,
  type Unnumbered,
} from '#lib/contracts/commands/command.ts';
import {
  type ChangedItem,
  changedItemText,
  changeTypeOf,
  NUMBER_STEP,
  type NumberedChange,
} from '#lib/domain/change.ts';
import {
  conflict,
  forbidden,
  isKnownError,
  notFound,
  preconditionFailed,
  tokenEnded,
  unprocessable,
} from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { type CounterReference, counterReference, type ItemReference } from '#lib/domain/reference.ts';
import { changesBefore, watching } from '../changes/changes.lua.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate, marks, outbox } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, type LuaModule, runScript } from '../script/script.ts';

/** The parameters of every function of a command file. */
export type Cell = { client: RedisClient; keys: Keys };

/** The client's `Idempotency-Key`, if it gave one, and the keyed hashes of its request, separated by commas. */
export type Idempotency = { key: string; fingerprint: string } | undefined;

/**
 * The facts in MySQL about an item that Redis has forgotten, for an edit of it. `lookedUpAt`: from the outcome 'unknown'; later edits
 * count instead of `version`. `applicationCreatorId`: for a command that this user may give as well.
 */
export type StoredItem = {
  ownerId?: number;
  version?: number;
  isDeleted?: boolean;
  lookedUpAt?: string;
  applicationCreatorId?: number;
};

/**
 * The result of accepting a write. 'accepted': `command` is to be published; a repeated request has none once MySQL has
 * stored it. `epoch`: the gate must still be open in this epoch when the request is answered. `change`: of a new command, if
 * somebody watches its feed. 'unverified': the counters
 * must be verified against MySQL first, for the epoch `lost`. 'unknown': only MySQL knows the item, which is the
 * application if its creator may give the command.
 */
export type Outcome<Answered> =
  | {
      kind: 'accepted';
      answer: Answered;
      epoch: string;
      command: { id: string; content: string } | undefined;
      change?: NumberedChange;
    }
  | { kind: 'closed' }
  | { kind: 'unverified'; counters: CounterReference[]; lost: string }
  | { kind: 'unknown'; item: ItemReference; lookedUpAt: string };

type Reply =
  | [
      'accepted' | 'repeated',
      answer: string,
      id: string,
      epoch: string,
      content: string,
      before?: string,
      chatBefore?: string,
    ]
  | ['unverified', lost: string]
  | ['unknown', lookedUpAt: string]
  | [
      | 'creator-unknown'
      | 'closed'
      | 'ended'
      | 'missing'
      | 'forbidden'
      | 'changed'
      | 'deleted'
      | 'reused'
      | 'full',
    ];
/** 'failed': the command may be accepted, and must be sent alone to know. */
type ScriptReply = Reply | ['failed'];

type Value = string | number;

/** What an edit needs of its command. */
type Edits<Contract extends CommandContract> = {
  item: (given: Given<Contract>) => ItemReference;
  expected: (given: Given<Contract>) => readonly number[] | undefined;
  /** Whether the command is a deletion. */
  deletes?: (given: Given<Contract>) => boolean;
  /** Whether the creator of the application may give it as well. */
  admitsCreator?: (given: Given<Contract>) => boolean;
  /**
   * Lua that sets `owner`, `version` and `isDeleted` of the item, as far as Redis knows them. `deletedBy` is the id of a
   * deletion that is not stored yet.
   */
  find: string;
};

type Definition<Contract extends CommandContract> = {
  uses?: readonly LuaModule[];
  /** Who writes. An `Idempotency-Key` belongs to this user, and so does the access token. */
  callerId: (given: Given<Contract>) => number;
  /** The counter that numbers the item and must exist. A created application has its own. */
  counter: (given: Given<Contract>) => CounterReference;
  /** Present for edits. */
  edits?: Edits<Contract>;
  /** The command's JSON. @param date the time of the item or of the edit */
  write: (given: Given<Contract>, date: string) => Unnumbered<Contract>;
  answer: (answer: string) => Answer<Contract>;
  /** Keys of the whole call, and keys and arguments of each command, by their names in Lua. */
  shared?: Record<string, (keys: Keys) => string>;
  keys: Record<string, (keys: Keys, given: Given<Contract>) => string>;
  args?: Record<string, (given: Given<Contract>, atMs: number) => Value>;
  /** Lua that refuses a command by returning a reply. */
  refuse?: string;
  /** Lua that makes an accepted command visible at once. It knows `number`, `id` and the text `command`. */
  apply?: string;
  /** Makes the accepted commands of one counter visible together, after the last command of the call. */
  applyTogether?: Together;
};

/**
 * `lua` gets a list `items`, each with `number`, `id`, `command` and the keys and arguments named by `each`. Those named by `shared`
 * are equal for all commands of a counter. Commands of a call do not see each other, so none may be refused because of another one.
 */
type Together = { shared: readonly string[]; each: readonly string[]; lua: string };

const DAY_SECONDS = 24 * 60 * 60;
/**
 * Expiry of generated keys. Without a key of the client, only a second try of the same call, on another
 * connection, is a repetition. It is sent within 6 s (guard.ts), and a silent connection ends after 5 s.
 */
const RETRY_SECONDS = 12;
/** The longest between two tries of an edit of which only MySQL knows the version. */
const LOOK_UP_SECONDS = 30;
/** Commands per call of the script. A larger call would let Redis and the broker wait for each other. */
const TOGETHER = 32;

/** The functions of the accepting scripts. */
const accepting: LuaModule = {
  needs: [gate, marks, outbox, watching],
  lua: /* lua */ `
-- The highest number that a command may have.
local MAX_NUMBER = ${limits.number - 1}
-- A fingerprint has one hash for each secret in use. Two of one request share a hash, also during a rotation.
local function isSame(one, other)
  if one == other then return true end
  for hash in string.gmatch(one, '[^,]+') do
    if string.find(',' .. other .. ',', ',' .. hash .. ',', 1, true) then return true end
  end
  return false
end
-- The first answer to the same request, with the command while it is pending. A creation below a deleted parent publishes
-- nothing.
local function repeated(first, fingerprint, outbox, epoch, isGone)
  local firstFingerprint, answer, id = string.match(first, '^(.-) (%S+) (%d+)$')
  if not isSame(firstFingerprint, fingerprint) then return { 'reused' } end
  return { 'repeated', answer, id, epoch, not isGone and fromOutbox(outbox, id) or '' }
end
-- Ends the script with an error that pcall has caught, as without pcall.
local function errorReply(caught)
  local message = type(caught) == 'table' and caught.err or caught
  return redis.error_reply(string.find(message, '^%u+ ') and message or 'ERR ' .. message)
end
-- Adds the number, id and epoch to the command and puts its final text into the outbox.
local function keep(outbox, command, id, epoch, fields)
  command = string.sub(command, 1, -2) .. fields .. ',"commandId":' .. id .. ',"epoch":' .. epoch .. '}'
  redis.call('XADD', outbox, id .. '-0', 'c', command)
  return command
end
`,
};

/**
 * The key `lookedUp` of an item exists while an edit reads its version from MySQL: the time of the look-up, and the
 * version of an edit that was accepted since.
 */
const lookingUp: LuaModule = {
  needs: [gate],
  lua: /* lua */ `
-- The item's version: \`stored\`, unless the look-up is another one. A later edit counts instead.
local function versionSince(looked, lookedUpAt, stored)
  local at, later = string.match(looked or '', '^(%d+) (%d*)$')
  if at ~= lookedUpAt then return nil end
  return later ~= '' and later or stored
end
-- The newer one of the versions that Redis and MySQL have. Nothing while MySQL's is not known.
local function newest(known, stored)
  if stored and known and tonumber(known) > tonumber(stored) then return known end
  return stored
end
-- Only MySQL knows the item. If its version matters, edits are noted from now on.
local function unknown(lookedUp, looked, expected)
  if expected == '' then return { 'unknown', '' } end
  if not looked then
    looked = text(nowMicros()) .. ' '
    redis.call('SET', lookedUp, looked, 'EX', ${LOOK_UP_SECONDS})
  end
  redis.call('EXPIRE', lookedUp, ${LOOK_UP_SECONDS})
  return { 'unknown', string.match(looked, '^%d+') }
end
`,
};

/**
 * An edit of an existing item: only its owner may, for some commands the application's creator as well, and only while its
 * version is one of the expected ones. A deleted item refuses edits. Another deletion of it is a repetition, and is
 * published again while the first one is pending.
 */
const editLua = (find: string) => /* lua */ `
  local owner, version, isDeleted, deletedBy
${find}
  -- After a rollback of Redis, MySQL may have a newer version.
  if not version or (behind and tonumber(version) <= tonumber(behind)) then
    version = newest(version, versionSince(looked, lookedUpAt, storedVersion))
  end
  owner = owner or storedOwner
  if owner == '' or (expected ~= '' and not version) then return unknown(lookedUp, looked, expected) end
  if owner ~= caller then
    if admitsCreator == '' then return { 'forbidden' } end
    -- The creator never changes, so a name from before a loss tells it as well.
    local creator = redis.call('HGET', applicationOf, 'creator') or storedCreator
    if creator == '' then return { 'creator-unknown' } end
    if creator ~= caller then return { 'forbidden' } end
  end
  if expected ~= '' and not string.find(expected, ' ' .. version .. ' ', 1, true) then return { 'changed' } end
  if isDeleted or storedDeleted ~= '' then
    if deletes == '' then return { 'deleted' } end
    return { 'repeated', parent, deletedBy or '0', epoch, deletedBy and fromOutbox(outbox, deletedBy) or '' }
  end
`;

/** A Lua table of variables by their names. */
const fields = (names: readonly string[]) => names.map((name) => `${name} = ${name}`).join(', ');

type Lua = { refuse?: string; edits?: { find: string }; apply?: string; applyTogether?: Together };

/** Refuses a command whose parents are missing or not verified. */
const parentLua = (isGone: string, isInChat: boolean) => /* lua */ `
  if ${isGone} then return { 'missing' } end
  if not isVerified(verifying, verified, parent)${isInChat ? ' or not isVerified(verifying, verified, token)' : ''} then
    return { 'unverified', lost }
  end
  if not count${isInChat ? ' or not chats' : ''} then return { 'missing' } end
`;

/** What the MGET reads: variables, and keys by their names. */
const readsOf = (isInChat: boolean, isEdit: boolean) => [
  ['count', 'counter'],
  ['first', 'idempotency'],
  ['present', 'generations'],
  ['before', 'watched'],
  ...(isInChat
    ? [
        ['chats', 'chatsCounter'],
        ['chatBefore', 'watchedChat'],
      ]
    : []),
  ...(isEdit ? [['looked', 'lookedUp']] : []),
];

/** Notes the change of an accepted command, to be written after the last command. */
const pendingLua = (isNumbered: boolean, isInChat: boolean) => /* lua */ `
  local feed = pendingChanges[changes]
  if not feed then
    feed = {}
    pendingChanges[changes] = feed
  end
  feed[#feed + 1] = id
  feed[#feed + 1] = change .. ${isNumbered ? `number .. ${isInChat ? "':'" : "':0:'"} .. ` : ''}id
`;

/** The answer to an accepted command. Where somebody watches, it has the changes before. */
const acceptedLua = (isInChat: boolean) => /* lua */ `
${
  isInChat
    ? /* lua */ `
  if before or chatBefore then
    if before then redis.call('SET', watched, id, 'KEEPTTL') end
    if chatBefore then redis.call('SET', watchedChat, id, 'KEEPTTL') end
    return { 'accepted', answer, id, epoch, command, changeBefore(before, opened), changeBefore(chatBefore, opened) }
  end
`
    : /* lua */ `
  if before then
    redis.call('SET', watched, id, 'KEEPTTL')
    return { 'accepted', answer, id, epoch, command, changeBefore(before, opened), '' }
  end
`
}
  return { 'accepted', answer, id, epoch, command }
`;

/**
 * Accepts one command. All refusals come before the first write, which is the outbox entry. The MGET has every key that
 * a command needs, so that a feed that nobody watches costs no call.
 */
const acceptOneLua = (
  { parent, creates }: CommandContract,
  { refuse = '', edits, apply = '', applyTogether }: Lua,
) => {
  const isNumbered = creates !== undefined && parent !== undefined;
  const isInChat = parent === 'chat';
  const reads = readsOf(isInChat, edits !== undefined);
  const isGone = `isDeleted(count)${isInChat ? ' or isDeleted(chats)' : ''}`;
  return /* lua */ `
  if not isUsable then return { 'closed' } end
  local ${reads.map(([name]) => name).join(', ')} = unpack(redis.call('MGET', ${reads.map(([, key]) => key).join(', ')}))
  if present and tonumber(generation) < tonumber(present) then return { 'ended' } end
  if first then return repeated(first, fingerprint, outbox, epoch, ${creates === undefined ? 'false' : isGone}) end
${parent === undefined ? '' : parentLua(isGone, isInChat)}
${refuse}
${edits === undefined ? '' : editLua(edits.find)}
${
  isNumbered
    ? /* lua */ `
  local of = numbered[counter]
  if of then count = of.number end
  if tonumber(count) >= MAX_NUMBER then return { 'full' } end
  local number = text(count + 1)
`
    : ''
}
  -- Microseconds since 1970, increasing at every command: its id and the version of the row that it writes.
  latest = latest + ${NUMBER_STEP}
  local id = text(latest)
  command = keep(outbox, command, id, epoch, ${isNumbered ? `',"${creates}":' .. number` : "''"})
  clock = id
${pendingLua(isNumbered, isInChat)}
  local answer = ${isNumbered ? 'number' : 'parent'}
  redis.call('SET', idempotency, fingerprint .. ' ' .. answer .. ' ' .. id, 'EX', seconds)
${edits === undefined ? '' : "if looked then redis.call('SET', lookedUp, string.match(looked, '^%d+ ') .. id, 'KEEPTTL') end"}
${
  isNumbered
    ? /* lua */ `
  if not of then
    of = { ${fields(['parent', ...(applyTogether?.shared ?? [])])}, items = {} }
    numbered[counter] = of
  end
  of.number, of.id = number, id
${applyTogether === undefined ? '' : `  of.items[#of.items + 1] = { ${fields(['number', 'id', 'command', ...applyTogether.each])} }`}
`
    : ''
}
${apply}
${acceptedLua(isInChat)}
`;
};

/**
 * Accepts one command after another. If one of them makes Redis refuse a call, its neighbours are kept, and the caller
 * sends it alone. The clock, the counters and their dirty marks are written once for all commands. Redis applies
 * the writes of a script together, so no crash shows some of them.
 */
const acceptLua = (command: CommandContract, lua: Lua) => {
  const { applyTogether } = lua;
  return {
    before: /* lua */ `
local epoch, clock, lost, verifying, behind, _, late, opened = readState(state, server)
local isUsable, clockBefore = epoch and not isAhead(clock), clock
-- The last id, as a multiple of the step.
local latest = math.max(nowMicros() - 1, tonumber(clock or '0'), tonumber(late or '0'))
latest = latest - latest % ${NUMBER_STEP}
-- key → score, member, …
local pendingChanges = {}
-- counter → what this call has numbered
local numbered = {}
`,
    each: acceptOneLua(command, lua),
    onError: /* lua */ `
    if clock == clockBefore then return errorReply(result) end
    result = { 'failed' }
`,
    after: /* lua */ `
if clock ~= clockBefore then redis.call('HSET', state, 'clock', clock) end
-- Without it, settling gives the change a number.
for changes, feed in pairs(pendingChanges) do redis.pcall('ZADD', changes, unpack(feed)) end
local dirtied = {}
for counter, of in pairs(numbered) do
  redis.call('SET', counter, of.number)
  dirtied[#dirtied + 1] = of.id
  dirtied[#dirtied + 1] = of.parent
end
if #dirtied > 0 then redis.call('ZADD', dirty, unpack(dirtied)) end
${
  applyTogether === undefined
    ? ''
    : /* lua */ `
local failure
for counter, of in pairs(numbered) do
  local isShown, reply = pcall(function()
    local parent, items = of.parent, of.items
    local ${applyTogether.shared.join(', ')} = ${applyTogether.shared.map((name) => `of.${name}`).join(', ')}
${applyTogether.lua}
  end)
  if not isShown then failure = reply end
end
if failure then return errorReply(failure) end
`
}
return results
`,
  };
};

const digestOf = (parts: unknown[]) => createHash('sha256').update(JSON.stringify(parts)).digest('base64url');

/** The values by which the script recognizes a repeated request. */
const repeatable = (keys: Keys, callerId: number, given: Idempotency) => ({
  idempotency: keys.idempotency(given === undefined ? randomUUID() : digestOf([callerId, given.key])),
  fingerprint: given?.fingerprint ?? '',
  seconds: given === undefined ? RETRY_SECONDS : DAY_SECONDS,
});

/** The text of a refusal, which names the users who may give the command. */
const ownersOf = <Contract extends CommandContract>(
  { item }: Contract,
  edits: Edits<Contract> | undefined,
  given: Given<Contract>,
): string => {
  const owner = item === 'message' ? 'sender' : 'creator';
  const admitted = item === 'message' ? ' or the creator of its application' : ' or of its application';
  const action = edits?.deletes?.(given) ? 'delete' : 'change';
  return `Only the ${owner} of the ${item}${edits?.admitsCreator?.(given) ? admitted : ''} may ${action} it.`;
};

/** @throws unauthenticated, not-found, forbidden, precondition-failed, unprocessable, conflict (no number is left) */
const refusal = <Contract extends CommandContract>(
  command: Contract,
  edits: Edits<Contract> | undefined,
  given: Given<Contract>,
  reply: Exclude<Reply[0], 'accepted' | 'repeated' | 'unverified' | 'unknown' | 'creator-unknown' | 'closed'>,
): Error => {
  const { item, parent = item } = command;
  switch (reply) {
    case 'ended':
      return tokenEnded();
    case 'missing':
      return notFound(neededItem(command));
    case 'forbidden':
      return forbidden(ownersOf(command, edits, given));
    case 'changed':
      return preconditionFailed(`The ${item} has another version.`);
    case 'deleted':
      return conflict(`The ${item} was deleted.`);
    case 'reused':
      return unprocessable('This Idempotency-Key was used for another request.');
    case 'full':
      return conflict(`The ${parent} is full: no number is left.`);
  }
};

/** What a new command changes. */
const changedBy = <Contract extends CommandContract>(
  command: Contract,
  { counter, edits }: Pick<Definition<Contract>, 'counter' | 'edits'>,
  given: Given<Contract>,
): Omit<ChangedItem, 'token'> => {
  const { chatNumber, messageNumber } =
    edits === undefined ? { ...counter(given), messageNumber: undefined } : edits.item(given);
  return {
    type: changeTypeOf(command, edits?.deletes?.(given) ?? false),
    ...(chatNumber === undefined ? {} : { chatNumber }),
    ...(messageNumber === undefined ? {} : { messageNumber }),
  };
};

/**
 * The text before the id in the member of a pending change. Of a numbered item, the script adds the number: it follows the
 * type or the chat's number.
 */
const changeText = <Contract extends CommandContract>(
  command: Contract,
  definition: Pick<Definition<Contract>, 'counter' | 'edits'>,
  given: Given<Contract>,
): string => {
  const item = changedBy(command, definition, given);
  if (command.creates === undefined || command.creates === 'token') return changedItemText(item);
  return item.chatNumber === undefined ? `${item.type}:` : `${item.type}:${item.chatNumber}:`;
};

const numberedChange = <Contract extends CommandContract>(
  command: Contract,
  [, answer, id, , , before = '', chatBefore = '']: Extract<Reply, { 0: 'accepted' | 'repeated' }>,
  definition: Definition<Contract>,
  given: Given<Contract>,
): NumberedChange | undefined => {
  if (before === '' && chatBefore === '') return undefined;
  return {
    token: definition.counter(given).token,
    ...changedBy(command, definition, given),
    ...(command.creates === 'chatNumber' || command.creates === 'messageNumber'
      ? { [command.creates]: Number(answer) }
      : {}),
    changeNumber: Number(id),
    before: changesBefore(before, chatBefore),
  };
};

const outcomeOf = <Contract extends CommandContract>(
  command: Contract,
  reply: Reply,
  definition: Definition<Contract>,
  given: Given<Contract>,
): Outcome<Answer<Contract>> => {
  const { answer, counter, edits } = definition;
  switch (reply[0]) {
    case 'accepted':
    case 'repeated': {
      const [, text, id, epoch, content] = reply;
      const published = content === '' ? undefined : { id, content };
      const change = numberedChange(command, reply, definition, given);
      return {
        kind: 'accepted',
        answer: answer(text),
        epoch,
        command: published,
        ...(change === undefined ? {} : { change }),
      };
    }
    case 'unverified':
      return { kind: 'unverified', counters: countersOf(command, counter(given)), lost: reply[1] };
    case 'unknown':
      if (edits === undefined) throw new Error(`${command.queue} edits no item`);
      return { kind: 'unknown', item: edits.item(given), lookedUpAt: reply[1] };
    case 'creator-unknown':
      return { kind: 'unknown', item: { token: counter(given).token }, lookedUpAt: '' };
    case 'closed':
      return { kind: 'closed' };
    default:
      throw refusal(command, edits, given, reply[0]);
  }
};

/** The counters that must be trusted: of the parent and, for a chat, of its application. */
const countersOf = ({ parent }: CommandContract, counted: CounterReference): CounterReference[] =>
  parent === 'chat' ? [counted, { token: counted.token }] : [counted];

/** The time of a created item, which a producer may give. */
const timeOf = (given: object): number =>
  'createdAtMs' in given && typeof given.createdAtMs === 'number' ? given.createdAtMs : Date.now();

/** Versions between spaces, for the script. Empty if the version does not matter. */
const expectedText = (versions: readonly number[] | undefined): string =>
  versions === undefined ? '' : ` ${versions.join(' ')} `;

/** The arguments of an edit. */
const noEdit = {
  caller: '',
  expected: '',
  deletes: '',
  admitsCreator: '',
  storedOwner: '',
  storedVersion: '',
  storedDeleted: '',
  storedCreator: '',
  lookedUpAt: '',
} satisfies Record<string, Value>;
const textOf = (number: number | undefined): string => (number === undefined ? '' : String(number));
const flag = (isSet: boolean | undefined): string => (isSet ? '1' : '');

/** The script that accepts a list of commands, and returns a reply for each. */
const scriptOf = <Contract extends CommandContract>(
  command: Contract,
  { uses = [], shared = {}, keys, args = {}, ...lua }: Definition<Contract>,
) => {
  const isEdit = lua.edits !== undefined;
  return defineScript(
    {
      uses: [accepting, ...(isEdit ? [lookingUp] : []), ...uses],
      keys: ['state', 'verified', 'dirty', 'outbox', ...Object.keys(shared)],
      args: ['server'],
      each: {
        keys: [
          'counter',
          'idempotency',
          'generations',
          'changes',
          'watched',
          ...(command.parent === 'chat' ? ['chatsCounter', 'watchedChat'] : []),
          ...(isEdit ? ['lookedUp', 'applicationOf'] : []),
          ...Object.keys(keys),
        ],
        args: [
          'command',
          'parent',
          'fingerprint',
          'seconds',
          'generation',
          'change',
          ...(command.parent === 'chat' ? ['token'] : []),
          ...(isEdit ? Object.keys(noEdit) : []),
          ...Object.keys(args),
        ],
      },
    },
    acceptLua(command, lua),
    expecting<ScriptReply[]>,
  );
};

type Item = Record<string, Value>;

const editArgs = <Contract extends CommandContract>(
  { expected, deletes, admitsCreator }: Edits<Contract>,
  given: Given<Contract>,
  stored: StoredItem = {},
): typeof noEdit => ({
  ...noEdit,
  expected: expectedText(expected(given)),
  deletes: flag(deletes?.(given)),
  admitsCreator: flag(admitsCreator?.(given)),
  storedOwner: textOf(stored.ownerId),
  storedVersion: textOf(stored.version),
  storedDeleted: flag(stored.isDeleted),
  storedCreator: textOf(stored.applicationCreatorId),
  lookedUpAt: stored.lookedUpAt ?? '',
});

/** Returns a function that names the values of one command for its script. */
const itemMaker = <Contract extends CommandContract>(
  command: Contract,
  definition: Definition<Contract>,
  keys: Keys,
) => {
  const { callerId, counter, edits, write, keys: ownKeys, args: ownArgs = {} } = definition;
  const namedKeys = Object.entries(ownKeys);
  const namedArgs = Object.entries(ownArgs);
  return (given: Given<Contract>, idempotency: Idempotency, stored: StoredItem | undefined): Item => {
    const counted = counter(given);
    const atMs = timeOf(given);
    const userId = callerId(given);
    const item: Item = {
      counter: keys.counter(counted),
      generations: keys.generation(userId),
      generation: given.generation ?? 0,
      parent: counterReference(counted),
      chatsCounter: keys.applicationCounter(counted.token),
      token: counted.token,
      changes: keys.changes(counted.token),
      watched: keys.watched({ token: counted.token }),
      watchedChat: keys.watched(counted),
      change: changeText(command, definition, given),
      command: JSON.stringify(write(given, new Date(atMs).toISOString())),
      ...repeatable(keys, userId, idempotency),
    };
    for (const [name, key] of namedKeys) item[name] = key(keys, given);
    for (const [name, value] of namedArgs) item[name] = value(given, atMs);
    if (edits === undefined) return item;
    return {
      ...item,
      lookedUp: keys.lookedUp(edits.item(given)),
      applicationOf: keys.application(counted.token),
      ...editArgs(edits, given, stored),
      caller: userId,
    };
  };
};

/** Accepts a command. @throws unauthenticated (the access token has ended), not-found, forbidden, precondition-failed, unprocessable, conflict, unavailable */
export type Accept<Contract extends CommandContract> = (
  given: Given<Contract>,
  more?: { idempotency?: Idempotency; stored?: StoredItem | undefined },
) => Promise<Outcome<Answer<Contract>>>;

/**
 * Defines how Redis accepts a command: in one script that refuses it or numbers it, keeps it in the outbox, and makes it
 * visible. Commands of one turn of the event loop share a call.
 */
export const defineAccept = <Contract extends CommandContract>(
  command: Contract,
  definition: Definition<Contract>,
) => {
  const script = scriptOf(command, definition);
  return ({ client, keys }: Cell): Accept<Contract> => {
    const toItem = itemMaker(command, definition, keys);
    const shared: Record<string, string> = {
      state: keys.state,
      verified: keys.verified,
      dirty: command.parent === 'chat' ? keys.dirtyChats : keys.dirtyApplications,
      outbox: keys.outbox(command.queue),
    };
    for (const [name, key] of Object.entries(definition.shared ?? {})) shared[name] = key(keys);

    const call = (items: readonly Item[]) => guarded(client, runScript(script, shared, items));
    /** A command that was accepted before its call failed is a repetition now. */
    const acceptAlone = async (item: Item): Promise<Reply> => {
      for (let left = 2; left > 0; left -= 1) {
        const [reply] = await call([item]);
        if (reply === undefined) throw new Error('The script gave no answer');
        if (reply[0] !== 'failed') return reply;
      }
      throw new Error(`Redis accepts a command of ${command.queue}, but does not show it`);
    };
    const acceptAll = async (items: readonly Item[]): Promise<readonly (Reply | Promise<Reply>)[]> => {
      try {
        const replies = await call(items);
        return items.map((item, i) => {
          const reply = replies[i];
          return reply === undefined || reply[0] === 'failed' ? acceptAlone(item) : reply;
        });
      } catch (error) {
        // One command may make the script fail, in which case its neighbours are accepted without it.
        if (isKnownError(error) || items.length === 1) throw error;
        return items.map(acceptAlone);
      }
    };
    const acceptTogether = gather(acceptAll, { size: TOGETHER });
    return async (given, { idempotency, stored } = {}) =>
      outcomeOf(command, await acceptTogether(toItem(given, idempotency, stored)), definition, given);
  };
};
