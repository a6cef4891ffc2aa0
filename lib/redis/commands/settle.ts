import type { CommandContract, Read } from '#lib/contracts/commands/command.ts';
import { changedItemText, changeTypeOf, isDeletion } from '#lib/domain/change.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import { issuing } from '../changes/changes.lua.ts';
import { type IssuedChange, type IssuedReply, toIssued } from '../changes/pending-changes.ts';
import { guarded } from '../connection/guard.ts';
import { gate, outbox, raising } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, type LuaModule, runScript } from '../script/script.ts';
import type { Cell } from './accept.ts';
import { chunks } from './chunks.ts';

/** What settling needs of a command. `version` is that of the stored row. */
type Settled<Contract extends CommandContract> = Pick<
  Read<Contract>,
  Extract<keyof Read<Contract>, 'token' | 'chatNumber' | 'messageNumber' | 'creatorId' | 'createdAtMs'>
> & {
  commandId: number;
  digest?: string | undefined;
  version: number;
  /** Whether the command is a deletion, and whether the row is deleted. */
  deleted?: true | null | undefined;
  isDeleted?: boolean;
};

/** A row of an application or chat, as far as settling needs it. */
export type Erasable = { isDeleted?: boolean };

/** Stored commands with their rows, or with the version of these, and dead ones. */
export type Settlement<Contract extends CommandContract, Row = unknown> = {
  stored: readonly (Settled<Contract> & Row)[];
  dead: readonly Settled<Contract>[];
};

type Definition<Contract extends CommandContract, Row> = {
  uses?: readonly LuaModule[];
  /** The counter that is raised to the number of a stored item. The commands of a counter are settled together. */
  counter: (settled: Settled<Contract>) => CounterReference;
  /** The number that the counter has given to the item. */
  number: (settled: Settled<Contract>) => number;
  /** Commands of one counter that differ here have other keys. */
  differs?: (settled: Settled<Contract>) => number;
  /** The item's place in answers. */
  createdAtMs?: (settled: Settled<Contract>) => number;
  /** The text that the Lua finds in `rows[number]`, for a stored item of which the script needs more. */
  row?: (stored: Settled<Contract> & Row) => string | undefined;
  /** Keys of the whole call, and keys of each counter, by their names in Lua. */
  shared?: Record<string, (keys: Keys) => string>;
  keys: Record<string, (keys: Keys, settled: Settled<Contract>) => string>;
  /** Lua that removes what accepting made visible. */
  forget: string;
  /** Lua for what the stored items need, such as a place in the outbox of the index. */
  stored?: string;
};

/**
 * Settles the commands of one counter: `<id> <digest> <number> <createdAtMs> <version> <changed item>;` for each, without a
 * version for a dead one. `texts` is a JSON object of texts by number. For the Lua of a command, `ids`, `numbers`, `times`,
 * `versions` and `isOurs` are lists of the same length. `versions` has false for a dead command, and `isOurs` for one that
 * the outbox does not have with this text.
 *
 * Settling decides the number of a change. A change that is pending under the command's id stops being pending: its row has
 * that number. A change that is pending under another number keeps that, which is answered again. Any other change gets a
 * fresh number, because positions above the command's id may have been handed out.
 *
 * The first write is a removal, even of nothing: a server at its `maxmemory` refuses a script whose first write adds, and
 * this one frees memory.
 */
const settleLua = ({ forget, stored = '' }: { forget: string; stored?: string }) => /* lua */ `
  local ids, numbers, times, versions, isOurs, members = {}, {}, {}, {}, {}, {}
  local removed, highest = { '0-0' }, -1
  local rows = texts == '' and {} or cjson.decode(texts)
  for id, digest, number, createdAtMs, version, change in
    string.gmatch(commands, '(%d+) (%x*) (%d+) (%-?%d+) (%d*) (%S+);')
  do
    local i = #ids + 1
    ids[i], numbers[i], times[i], versions[i] = id, number, tonumber(createdAtMs), version ~= '' and version
    isOurs[i] = isInOutbox(outbox, id, digest)
    members[i] = change .. id .. (digest == '' and ':other' or '')
    if isOurs[i] then removed[#removed + 1] = id .. '-0' end
    if versions[i] then highest = math.max(highest, tonumber(number)) end
  end
  redis.call('XDEL', outbox, unpack(removed))
  if highest >= 0 then raise(counter, text(highest), dirty, parent) end
${forget}
${stored}
  local scores, gone, issued = redis.call('ZMSCORE', changes, unpack(members)), {}, {}
  for i, score in ipairs(scores) do
    local number = score and text(tonumber(score))
    if number == ids[i] then
      if versions[i] or isOurs[i] then gone[#gone + 1] = members[i] end
    elseif versions[i] then
      issued[#issued + 1] = number and { members[i], number, '', '' } or issue(changes, watched, members[i])
    end
  end
  if #gone > 0 then redis.call('ZREM', changes, unpack(gone)) end
  return issued
`;

const scriptOf = <Contract extends CommandContract, Row>({
  uses = [],
  shared = {},
  keys,
  ...lua
}: Definition<Contract, Row>) =>
  defineScript(
    {
      uses: [gate, outbox, raising, issuing, ...uses],
      keys: ['state', 'outbox', 'dirty', ...Object.keys(shared)],
      args: ['server'],
      each: {
        keys: ['counter', 'changes', 'watched', ...Object.keys(keys)],
        args: ['parent', 'commands', 'texts'],
      },
    },
    {
      before: /* lua */ `
local epoch, clock, lost, _, _, _, late, opened = readState(state, server)
lost = lost or '0'
local issue = issuer(state, epoch, clock, late, opened)
`,
      each: settleLua(lua),
      after: "return { epoch and '1' or '', results }",
    },
    expecting<[isOpen: '1' | '', groups: IssuedReply[][]]>,
  );

/** The changed item of a command, as in the member of a pending change. */
const changeText = <Contract extends CommandContract>(
  command: Contract,
  settled: Settled<Contract>,
  counted: CounterReference,
  number: number,
): string => {
  const type = changeTypeOf(command, isDeletion(settled));
  const chatNumber = command.creates === 'chatNumber' ? number : counted.chatNumber;
  return changedItemText({
    type,
    ...(chatNumber === undefined ? {} : { chatNumber }),
    ...(command.item === 'message' ? { messageNumber: number } : {}),
  });
};

/** Defines how Redis forgets commands that are stored or dead. May run again for the same commands. */
export const defineSettle = <Contract extends CommandContract, Row = unknown>(
  command: Contract,
  definition: Definition<Contract, Row>,
) => {
  const { counter, number, differs = () => 0, createdAtMs = () => 0, row = () => undefined } = definition;
  const script = scriptOf(definition);
  const namedKeys = Object.entries(definition.keys);
  type One = { one: Settled<Contract>; version: number | ''; text?: string | undefined };

  return ({ client, keys }: Cell) => {
    const shared: Record<string, string> = {
      state: keys.state,
      outbox: keys.outbox(command.queue),
      dirty: command.parent === 'chat' ? keys.dirtyChats : keys.dirtyApplications,
    };
    for (const [name, key] of Object.entries(definition.shared ?? {})) shared[name] = key(keys);

    /** A batch has few counters, so the script's keys are named once for each. */
    const byCounter = (settled: readonly One[]) => {
      const items = new Map<string, Record<string, string>>();
      const tokens: string[] = [];
      const texts = new Map<string, Record<string, string>>();
      for (const { one, version, text: rowText } of settled) {
        const counted = counter(one);
        const parent = counterReference(counted);
        const { commandId, digest = '' } = one;
        const change = changeText(command, one, counted, number(one));
        const text = `${commandId} ${digest} ${number(one)} ${createdAtMs(one)} ${version} ${change};`;
        const group = `${parent} ${differs(one)}`;
        if (rowText !== undefined) texts.set(group, { ...texts.get(group), [number(one)]: rowText });
        const known = items.get(group);
        if (known !== undefined) {
          known.commands += text;
          continue;
        }
        const { token } = counted;
        const item: Record<string, string> = {
          counter: keys.counter(counted),
          changes: keys.changes(token),
          watched: keys.watched({ token }),
          parent,
          commands: text,
        };
        tokens.push(token);
        for (const [name, key] of namedKeys) item[name] = key(keys, one);
        items.set(group, item);
      }
      const groups = [...items].map(([group, item]) => {
        const found = texts.get(group);
        return { ...item, texts: found === undefined ? '' : JSON.stringify(found) };
      });
      return { groups, tokens };
    };

    /** @throws unavailable; then settle the commands again */
    return async ({ stored, dead }: Settlement<Contract, Row>): Promise<IssuedChange[]> => {
      const all: One[] = [
        ...stored.map((one) => ({ one, version: one.version, text: row(one) })),
        ...dead.map((one) => ({ one, version: '' as const })),
      ];
      const issued: IssuedChange[] = [];
      for (const chunk of chunks(all)) {
        const { groups, tokens } = byCounter(chunk);
        const [isOpen, replies] = await guarded(client, runScript(script, shared, groups));
        for (const [at, token] of tokens.entries())
          issued.push(...(replies[at] ?? []).flatMap((reply) => toIssued(token, reply, isOpen === '1')));
      }
      return issued;
    };
  };
};

/** Settles stored and dead commands. @returns the fresh numbers of changes. @throws unavailable; then settle them again */
export type Settle<Contract extends CommandContract, Row = unknown> = (
  settlement: Settlement<Contract, Row>,
) => Promise<IssuedChange[]>;
