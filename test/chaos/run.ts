// npm run chaos: attacks a system of its own in rounds, and compares the answers of its clients with its data.
// node test/chaos/run.ts [--fault name[,name]] [--rounds n] [--seed n] [--short] [--minutes n]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkWritable } from '../../bench/outputs.ts';
import { Failure, terminalReport } from '../../local/services/index.ts';
import { isClean, kinds } from './audit.ts';
import { type Fault, faults, faultsOf } from './faults.ts';
import { type Landing, landings } from './landing.ts';
import { longPace, shortPace } from './pace.ts';
import { Arena, type RoundResult } from './round.ts';
import { type RedisKind, redisKinds, System } from './system.ts';
import { tableOf } from './table.ts';

const { values: options } = parseArgs({
  options: {
    fault: { type: 'string' },
    rounds: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Runs the rounds of `npm test`, with shorter outages. */
    short: { type: 'boolean', default: false },
    /** Begins no further round after this number of minutes. */
    minutes: { type: 'string', default: '1000000' },
    /** A file for the table, in addition to the terminal. */
    table: { type: 'string' },
  },
});

const numberOf = (name: 'rounds' | 'seed' | 'minutes'): number => {
  const value = Number(options[name]);
  if (!Number.isFinite(value) || value < 0)
    throw new Failure(`--${name} is "${options[name]}". Expected a number.`);
  return value;
};

const whatOf = (name: string) => faults.find((fault) => fault.name === name)?.what ?? name;
const report = terminalReport(process.stdout);
const stopped = new AbortController();
let system: System | undefined;
let code = 0;

const checkNames = (names: readonly string[]): void => {
  const unknown = names.find((name) => !faults.some((fault) => fault.name === name));
  if (unknown === undefined) return;
  throw new Failure(
    `There is no fault named "${unknown}". There are: ${faults.map(({ name }) => name).join(', ')}.`,
  );
};

const results: RoundResult[] = [];

const showTable = (): string => {
  const fell = results.flatMap((result) => result.landings);
  const where = (Object.keys(landings) as Landing[]).map(
    (landing) => `${landings[landing]} ${fell.filter((one) => one === landing).length}`,
  );
  const table = `${tableOf(results, whatOf)}${fell.length === 0 ? '' : `\n\nKills of the functions that fell ${where.join(', ')}.`}`;
  if (options.table !== undefined) writeFileSync(options.table, `${table}\n`);
  return table;
};

const say = (what: string, result: RoundResult): void => {
  const counts = kinds.map((kind) => `${kind} ${result.findings[kind].length}`).join(', ');
  report.say(
    `  ${what}: accepted ${result.accepted}, refused ${result.refused}, unanswered ${result.unanswered}, deleted ${result.deleted} messages, ${result.chats} chats, ${result.applications} applications, ${result.accounts} accounts, revoked ${result.revoked}, ${counts}, repeated ${result.repeated}, whole after ${result.secondsUntilWhole?.toFixed(1) ?? 'never'} s`,
  );
  for (const kind of kinds) {
    for (const what of result.findings[kind].slice(0, 8))
      report.say(`      ${kind}: ${what.slice(0, 1_000)}`);
  }
};

/** Attacks one system in rounds, and audits all rounds together: a later round must not damage data of an earlier one. */
const attack = async (target: System, chosen: readonly Fault[], until: number): Promise<void> => {
  const [rounds, seed] = [numberOf('rounds'), numberOf('seed')];
  const arena = new Arena(target, { seed, say: report.say });
  report.say(`  seed ${seed}; the functions log to ${target.logFile}`);
  const possible = chosen.filter(({ needs = [] }) => needs.every((server) => target.has(server)));
  for (let round = 1; round <= rounds; round += 1) {
    for (const fault of possible) {
      if (stopped.signal.aborted || performance.now() > until) break;
      const result = await arena.run(fault, options.short ? shortPace : longPace);
      results.push(result);
      say(`${round}/${rounds} ${fault.name}`, result);
      if (!isClean(result.findings)) code = 1;
      showTable();
    }
  }
  // Without a round, because the time was over, nothing is in the ledger.
  if (stopped.signal.aborted || !results.some(({ fault }) => possible.some(({ name }) => name === fault)))
    return;
  const findings = await arena.audit();
  for (const kind of kinds)
    for (const what of findings[kind].slice(0, 8)) report.say(`  at the end, ${kind}: ${what}`);
  if (!isClean(findings)) code = 1;
};

/** Checks all options before anything starts. */
const checkOptions = (): void => {
  for (const name of ['rounds', 'seed', 'minutes'] as const) numberOf(name);
  checkNames(options.fault?.split(',') ?? []);
  if (options.table !== undefined) checkWritable('--table', options.table);
};

/** Faults of a clustered Redis have a system of their own, after the others. It gets its share of the time. */
const main = async (): Promise<void> => {
  const names = options.fault?.split(',');
  checkOptions();
  const chosenOf = (redis: RedisKind) =>
    faultsOf(redis).filter(({ name }) => names?.includes(name) !== false);
  const count = redisKinds.flatMap(chosenOf).length;
  const beganAt = performance.now();
  let due = 0;
  for (const redis of redisKinds) {
    const chosen = chosenOf(redis);
    due += chosen.length;
    if (chosen.length === 0 || stopped.signal.aborted) continue;
    system = await System.start(report, { redis, signal: stopped.signal });
    await attack(system, chosen, beganAt + (numberOf('minutes') * 60_000 * due) / count);
    await end();
  }
  report.say(`\n${showTable()}`);
};

const end = async () => {
  const ending = system;
  system = undefined;
  await ending?.stop({ keepLog: code !== 0 && !stopped.signal.aborted });
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped.signal.aborted) process.exit(1);
    report.say('ending; once more to force it');
    stopped.abort(new Failure('stopped'));
    code = 1;
    void end().finally(() => process.exit(1));
  });
}

try {
  await main();
} catch (error) {
  code = 1;
  if (!stopped.signal.aborted)
    console.error(error instanceof Failure ? error.message : error instanceof Error ? error.stack : error);
}
await end();
process.exit(code);
