import { type Change, type NumberedChange, numberUpTo, parseChangedItem } from '#lib/domain/change.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import { chunks } from '../commands/chunks.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate, marks } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { changesBefore, issuing } from './changes.lua.ts';

/** A fresh number as the scripts answer it. */
export type IssuedReply = [member: string, number: string, before: string, chatBefore: string];

/**
 * A change of a stored command under a fresh number. `movesWitness`: the number is from Redis' clock, so its loss must be
 * noticed.
 */
export type IssuedChange = NumberedChange & { member: string; movesWitness: boolean };

/** @returns a list of one change; none for a member that is no change */
export const toIssued = (
  token: string,
  [member, number, before, chatBefore]: IssuedReply,
  movesWitness: boolean,
): IssuedChange[] => {
  const item = parseChangedItem(token, member);
  if (item === undefined) return [];
  const changeNumber = Number(number);
  return [{ ...item, changeNumber, before: changesBefore(before, chatBefore), member, movesWitness }];
};

/**
 * Ends pending changes whose rows are stored. A change that a rollback has removed meanwhile gets another number: its
 * row may be below positions that were handed out since. The first write is a removal; see settle.ts.
 */
const remove = defineScript(
  {
    uses: [gate, issuing],
    keys: ['state'],
    args: ['server'],
    each: { keys: ['changes', 'watched'], args: ['member', 'number'] },
  },
  {
    before: /* lua */ `
local epoch, clock, _, _, _, _, late, opened = readState(state, server)
local issue = issuer(state, epoch, clock, late, opened)
`,
    each: /* lua */ `
  local score = redis.call('ZSCORE', changes, member)
  local present = score and text(tonumber(score))
  redis.call('ZREM', changes, present == number and member or '')
  if present == number then return false end
  return present and { member, present, '', '' } or issue(changes, watched, member)
`,
    after: "return { epoch and '1' or '', results }",
  },
  expecting<[isOpen: '1' | '', issued: (IssuedReply | null)[]]>,
);

/** Members that one page of a chat's feed looks at. The page ends at the last one. */
const LOOKED_AT = 1_000;

/**
 * Reads the pending changes above `since`, at most `count`, and the clock: a change up to it that is not pending was
 * settled, so MySQL has it. For one chat, `place` is its beginning of a member. `since` is empty if only the clock is
 * wanted. `lookedTo` is the last number that was looked at, or empty if all were. Returns one of:
 *
 * - closed: the gate
 * - missing: the application or chat
 * - known or unknown (only MySQL knows whether it exists): the clock, [member, number, …], `lookedTo`, the epoch
 */
const readPending = defineScript(
  {
    uses: [gate, marks],
    keys: ['state', 'verified', 'counter', 'application', 'changes'],
    args: ['server', 'member', 'token', 'chat', 'since', 'count'],
  },
  /* lua */ `
local epoch, clock, _, verifying = readState(state, server)
if not epoch then return { 'closed' } end
local total, chats = unpack(redis.call('MGET', counter, application))
if isDeleted(total) or isDeleted(chats) then return { 'missing' } end
local isTrusted = isVerified(verifying, verified, member) and isVerified(verifying, verified, token)
if isTrusted and not (total and chats) then return { 'missing' } end
local found, lookedTo = {}, ''
if since ~= '' then
  local wanted = chat == '' and count or ${LOOKED_AT}
  found = redis.call('ZRANGEBYSCORE', changes, '(' .. since, clock, 'WITHSCORES', 'LIMIT', 0, wanted)
  if chat ~= '' then
    if #found == wanted * 2 then lookedTo = found[#found] end
    local ofChat = {}
    for i = 1, #found, 2 do
      if string.match(found[i], '^[^:]+:(%d+):') == chat then
        ofChat[#ofChat + 1] = found[i]
        ofChat[#ofChat + 1] = found[i + 1]
      end
    end
    found = ofChat
  end
end
return { isTrusted and 'known' or 'unknown', clock, found, lookedTo, epoch }
`,
  expecting<
    | ['closed' | 'missing']
    | ['known' | 'unknown', clock: string, found: string[], lookedTo: string, epoch: string]
  >,
);

/** `epoch`: of the last opening. `isKnown`: Redis knows that the application or chat exists. `lookedTo`: changes above it were not looked at. */
export type PendingPage = {
  isKnown: boolean;
  clock: number;
  epoch: number;
  changes: Change[];
  lookedTo: number | undefined;
};

/** The changes that MySQL does not have yet. */
export const createPendingChanges = ({ client, keys }: { client: RedisClient; keys: Keys }) => ({
  /**
   * Reads pending changes of an application or a chat, and the clock. @param since undefined for the clock alone
   * @returns 'closed' while the gate is closed. @throws unavailable
   */
  read: async (
    of: CounterReference,
    { since, count }: { since: number | undefined; count: number },
  ): Promise<PendingPage | 'closed' | 'missing'> => {
    const { token, chatNumber } = of;
    const reply = await guarded(
      client,
      runScript(readPending, {
        state: keys.state,
        verified: keys.verified,
        counter: keys.counter(of),
        application: keys.applicationCounter(token),
        changes: keys.changes(token),
        member: counterReference(of),
        token,
        chat: chatNumber ?? '',
        since: since ?? '',
        count,
      }),
    );
    if (reply.length === 1) return reply[0];
    const [kind, clock, found, lookedTo, epoch] = reply;
    const changes: Change[] = [];
    for (let i = 0; i < found.length; i += 2) {
      const item = parseChangedItem(token, found[i] ?? '');
      if (item !== undefined) changes.push({ ...item, changeNumber: Number(found[i + 1]) });
    }
    return {
      isKnown: kind === 'known',
      clock: numberUpTo(Number(clock)),
      epoch: Number(epoch),
      changes,
      lookedTo: lookedTo === '' ? undefined : Number(lookedTo),
    };
  },

  /** Ends pending changes whose rows are stored. @returns the changes with other numbers. @throws unavailable */
  remove: async (issued: readonly IssuedChange[]): Promise<IssuedChange[]> => {
    const left: IssuedChange[] = [];
    for (const chunk of chunks(issued)) {
      const [isOpen, replies] = await guarded(
        client,
        runScript(
          remove,
          { state: keys.state },
          chunk.map(({ token, member, changeNumber }) => ({
            changes: keys.changes(token),
            watched: keys.watched({ token }),
            member,
            number: changeNumber,
          })),
        ),
      );
      for (const [at, { token }] of chunk.entries()) {
        const reply = replies[at];
        if (reply) left.push(...toIssued(token, reply, isOpen === '1'));
      }
    }
    return left;
  },
});

export type PendingChanges = ReturnType<typeof createPendingChanges>;
