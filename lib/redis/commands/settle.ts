import type { CommandContract, Read } from '#lib/contracts/commands/command.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import { guarded } from '../connection/guard.ts';
import { gate, outbox, raising } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, type LuaModule, runScript } from '../script/script.ts';
import type { Cell } from './accept.ts';
import { chunks } from './chunks.ts';

/** What settling needs of a command. `version` is that of the stored row. */
type Settled<Contract extends CommandContract> = Pick<
  Read<Contract>,
  Extract<keyof Read<Contract>, 'token' | 'chatNumber' | 'messageNumber' | 'creatorId' | 'createdAtMs'>
> & { commandId: number; digest?: string | undefined; version: number };

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
 * Settles the commands of one counter: `<id> <digest> <number> <createdAtMs> <version>;` for each, without a version for a
 * dead one. `texts` is a JSON object of texts by number. For the Lua of a command, `ids`, `numbers`, `times`, `versions` and `isOurs` are lists of the same length.
 * `versions` has false for a dead command, and `isOurs` for one that the outbox does not have with this text. A fresh
 * change number belongs behind the removal.
 *
 * The first write is a removal, even of nothing: a server at its `maxmemory` refuses a script whose first write adds, and
 * this one frees memory.
 */
const settleLua = ({ forget, stored = '' }: { forget: string; stored?: string }) => /* lua */ `
  local ids, numbers, times, versions, isOurs = {}, {}, {}, {}, {}
  local removed, highest = { '0-0' }, -1
  local rows = texts == '' and {} or cjson.decode(texts)
  for id, digest, number, createdAtMs, version in
    string.gmatch(commands, '(%d+) (%x*) (%d+) (%-?%d+) (%d*);')
  do
    local i = #ids + 1
    ids[i], numbers[i], times[i], versions[i] = id, number, tonumber(createdAtMs), version ~= '' and version
    isOurs[i] = isInOutbox(outbox, id, digest)
    if isOurs[i] then removed[#removed + 1] = id .. '-0' end
    if versions[i] then highest = math.max(highest, tonumber(number)) end
  end
  redis.call('XDEL', outbox, unpack(removed))
  if highest >= 0 then raise(counter, text(highest), dirty, parent) end
${forget}
${stored}
`;

const scriptOf = <Contract extends CommandContract, Row>({
  uses = [],
  shared = {},
  keys,
  ...lua
}: Definition<Contract, Row>) =>
  defineScript(
    {
      uses: [gate, outbox, raising, ...uses],
      keys: ['state', 'outbox', 'dirty', ...Object.keys(shared)],
      each: { keys: ['counter', ...Object.keys(keys)], args: ['parent', 'commands', 'texts'] },
    },
    { before: 'local lost = lossOf(state)', each: settleLua(lua) },
  );

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
      const texts = new Map<string, Record<string, string>>();
      for (const { one, version, text: rowText } of settled) {
        const counted = counter(one);
        const parent = counterReference(counted);
        const { commandId, digest = '' } = one;
        const text = `${commandId} ${digest} ${number(one)} ${createdAtMs(one)} ${version};`;
        const group = `${parent} ${differs(one)}`;
        if (rowText !== undefined) texts.set(group, { ...texts.get(group), [number(one)]: rowText });
        const known = items.get(group);
        if (known !== undefined) {
          known.commands += text;
          continue;
        }
        const item: Record<string, string> = { counter: keys.counter(counted), parent, commands: text };
        for (const [name, key] of namedKeys) item[name] = key(keys, one);
        items.set(group, item);
      }
      return [...items].map(([group, item]) => {
        const found = texts.get(group);
        return { ...item, texts: found === undefined ? '' : JSON.stringify(found) };
      });
    };

    /** @throws unavailable; then settle the commands again */
    return async ({ stored, dead }: Settlement<Contract, Row>): Promise<void> => {
      const all: One[] = [
        ...stored.map((one) => ({ one, version: one.version, text: row(one) })),
        ...dead.map((one) => ({ one, version: '' as const })),
      ];
      for (const chunk of chunks(all)) await guarded(client, runScript(script, shared, byCounter(chunk)));
    };
  };
};

/** Settles stored and dead commands. @throws unavailable; then settle them again */
export type Settle<Contract extends CommandContract, Row = unknown> = (
  settlement: Settlement<Contract, Row>,
) => Promise<void>;
