import { createHash } from 'node:crypto';
import type { Connection } from '../connection/client.ts';

/** The names of a script's parameters: for the whole call, and for each item of a list. */
type Shape = {
  keys?: readonly string[];
  args?: readonly string[];
  each?: { keys?: readonly string[]; args?: readonly string[] };
};
type Names<List> = List extends readonly (infer Name extends string)[] ? Name : never;
type Value = string | number;

/** The values of a call, by the names of the definition. */
type Values<Of extends Shape> = { [Name in Names<Of['keys']>]: string } & {
  [Name in Names<Of['args']>]: Value;
};
type Item<Of extends Shape> = Of['each'] extends Shape ? Values<Of['each']> : never;

export type Script<Of extends Shape, Answer> = {
  shape: Of;
  source: string;
  sha: string;
  decode: (reply: unknown) => Answer;
};

/** An item of the list of a script with `each`. */
export type ItemOf<Of> = Of extends Script<infer Parameters, unknown> ? Item<Parameters> : never;

/** Declares the type of a script's reply, which Redis does not define. */
export const expecting = <Answer>(reply: unknown): Answer => reply as Answer;

/** A local variable is faster than a global one, and scripts name this one at every call. */
const PRELUDE = 'local redis = redis\n';

const locals = (names: readonly string[], list: string): string =>
  names.length === 0
    ? ''
    : `local ${names.join(', ')} = ${names.map((_, i) => `${list}[${i + 1}]`).join(', ')}\n`;

/** Calls `one` for each item and collects the returned values in `results`. */
const loop = ({ keys = [], args = [], each = {} }: Shape, body: string): string => {
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
  return `local function one(${[...eachKeys, ...eachArgs].join(', ')})
${body}
end
local results = {}
for item = 0, ${count} - 1 do
  results[item + 1] = one(${values.join(', ')}) or false
end
`;
};

/**
 * Defines a Lua script with named, typed parameters. Each name is a local variable of the script. A script
 * with `each` is called with a list: `before` runs first, then the text runs for each item. It returns the
 * list of results, or the value of `after`, which reads that list as `results`.
 */
export const defineScript = <const Of extends Shape, Answer = unknown>(
  shape: Of,
  source: string | { before?: string; each: string; after?: string },
  decode: (reply: unknown) => Answer = expecting<Answer>,
): Script<Of, Answer> => {
  const head = `${PRELUDE}${locals(shape.keys ?? [], 'KEYS')}${locals(shape.args ?? [], 'ARGV')}`;
  const {
    before = '',
    each,
    after = 'return results',
  } = typeof source === 'string' ? { each: source } : source;
  const text = shape.each === undefined ? head + each : `${head}${before}\n${loop(shape, each)}${after}`;
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

/** Runs a script by its digest; sends its text only to a server that does not know it. @throws what ioredis throws */
export const runScript = async <Of extends Shape, Answer>(
  { redis }: Pick<Connection, 'redis'>,
  { shape, source, sha, decode }: Script<Of, Answer>,
  ...[values, items = []]: Call<Of>
): Promise<Answer> => {
  const list: Value[] = [];
  pick(shape.keys, values, list);
  for (const item of items) pick(shape.each?.keys, item, list);
  const keyCount = list.length;
  pick(shape.args, values, list);
  for (const item of items) pick(shape.each?.args, item, list);
  try {
    return decode(await redis.evalsha(sha, keyCount, ...list));
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return decode(await redis.eval(source, keyCount, ...list));
  }
};
