import { type NumberedChange, parseChangedItem } from '#lib/domain/change.ts';
import { chunks } from '../commands/chunks.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate } from '../gate/gate.lua.ts';
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
 * Ends pending changes whose rows are stored. One that is no longer pending, as after a rollback, gets another number: its
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

/** The changes that MySQL does not have yet. */
export const createPendingChanges = ({ client, keys }: { client: RedisClient; keys: Keys }) => ({
  /** Ends pending changes whose rows are stored. @returns those that have another number now. @throws unavailable */
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
