import { createHash } from 'node:crypto';
import type { Connection } from '../connection/client.ts';

/** A piece of Lua that several scripts use, such as functions. `needs`: the modules whose functions it calls. */
export type LuaModule = { needs?: readonly LuaModule[]; lua: string };

/** The names of a script's parameters: for the whole call, and for each item of a list. */
type Shape = {
  uses?: readonly LuaModule[];
  keys?: readonly string[];
  args?: readonly string[];
  each?: { keys?: readonly string[]; args?: readonly string[] };
};
type Names<List> = List extends readonly (infer Name extends string)[] ? Name : never;
type Value = string | number;

/**
 * The values of a call, by the names of the definition. The connection gives the value of `server`. A definition that
 * computes its names computes the values as well.
 */
type Values<Of extends Shape> = string extends Names<Of['keys']> | Names<Of['args']>
  ? Record<string, Value>
  : { [Name in Names<Of['keys']>]: string } & { [Name in Exclude<Names<Of['args']>, 'server'>]: Value };
type Item<Of extends Shape> = Of['each'] extends Shape ? Values<Of['each']> : never;

export type Script<Of extends Shape, Answer> = {
  shape: Of;
  source: string;
  sha: string;
  decode: (reply: unknown) => Answer;
};

/** Declares the type of a script's reply, which Redis does not define. */
export const expecting = <Answer>(reply: unknown): Answer => reply as Answer;

/** A local variable is faster than a global one, and scripts name this one at every call. */
const PRELUDE = 'local redis = redis\n';

/** The modules and their needs, each once, in an order in which a module follows its needs. */
const allOf = (modules: readonly LuaModule[]): ReadonlySet<LuaModule> =>
  new Set(modules.flatMap((module) => [...allOf(module.needs ?? []), module]));

const locals = (names: readonly string[], list: string): string =>
  names.length === 0
    ? ''
    : `local ${names.join(', ')} = ${names.map((_, i) => `${list}[${i + 1}]`).join(', ')}\n`;

/** Calls `one` for each item and collects the returned values in `results`. */
const loop = (
  { keys = [], args = [], each = {} }: Shape,
  { each: body, onError }: { each: string; onError?: string | undefined },
): string => {
  const [eachKeys, eachArgs] = [each.keys ?? [], each.args ?? []];
  const place = (list: string, offset: number, width: number) => (_: string, i: number) =>
    `${list}[${offset + i + 1} + item * ${width}]`;
  const values = [
    ...eachKeys.map(place('KEYS', keys.length, eachKeys.length)),
    ...eachArgs.map(place('ARGV', args.length, eachArgs.length)),
  ];
  const count =
    eachKeys.length > 0
      ? `(#KEYS - ${keys.length}) / ${eachKeys.length}`
      : `(#ARGV - ${args.length}) / ${eachArgs.length}`;
  const call =
    onError === undefined
      ? `local result = one(${values.join(', ')})`
      : `local isDone, result = pcall(one, ${values.join(', ')})
  if not isDone then
${onError}
  end`;
  return `local function one(${[...eachKeys, ...eachArgs].join(', ')})
${body}
end
local results = {}
for item = 0, ${count} - 1 do
  ${call}
  results[item + 1] = result or false
end
`;
};

/**
 * Defines a Lua script with named, typed parameters. Each name is a local variable of the script. A script
 * with `each` is called with a list: `before` runs first, then the text runs for each item. It returns the
 * list of results, or the value of `after`, which reads that list as `results`. An item that fails ends the script, unless
 * `onError` gives another `result`, which is the error at first.
 */
export const defineScript = <const Of extends Shape, Answer = unknown>(
  shape: Of,
  source: string | { before?: string; each: string; onError?: string; after?: string },
  decode: (reply: unknown) => Answer = expecting<Answer>,
): Script<Of, Answer> => {
  const modules = [...allOf(shape.uses ?? [])].map(({ lua }) => lua).join('');
  const head = `${PRELUDE}${modules}${locals(shape.keys ?? [], 'KEYS')}${locals(shape.args ?? [], 'ARGV')}`;
  const {
    before = '',
    each,
    onError,
    after = 'return results',
  } = typeof source === 'string' ? { each: source } : source;
  const text =
    shape.each === undefined ? head + each : `${head}${before}\n${loop(shape, { each, onError })}${after}`;
  return { shape, source: text, sha: createHash('sha1').update(text).digest('hex'), decode };
};

type Call<Of extends Shape> = Of['each'] extends Shape
  ? [values: Values<Of>, items: readonly Item<Of>[]]
  : [values: Values<Of>];

const pick = (
  names: readonly string[] | undefined,
  from: Readonly<Record<string, Value>>,
  into: Value[],
): void => {
  for (const name of names ?? []) into.push(from[name] ?? '');
};

/**
 * A call of a script, for `guarded`. It names the script by its digest, and sends the text only to a server that does
 * not know it. It throws what ioredis throws.
 */
export const runScript =
  <Of extends Shape, Answer>(
    { shape, source, sha, decode }: Script<Of, Answer>,
    ...[values, items = []]: Call<Of>
  ): ((connection: Pick<Connection, 'redis' | 'server'>) => Promise<Answer>) =>
  async ({ redis, server }) => {
    const list: Value[] = [];
    pick(shape.keys, values, list);
    for (const item of items) pick(shape.each?.keys, item, list);
    const keyCount = list.length;
    pick(shape.args, { ...values, server }, list);
    for (const item of items) pick(shape.each?.args, item, list);
    try {
      return decode(await redis.evalsha(sha, keyCount, ...list));
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return decode(await redis.eval(source, keyCount, ...list));
    }
  };
