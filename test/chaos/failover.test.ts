import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { silentReport } from '../../local/services/index.ts';
import { noFindings } from './audit.ts';
import { faultsOf } from './faults.ts';
import { shortPace } from './pace.ts';
import { Arena } from './round.ts';
import { System } from './system.ts';

/* A short round of each fault of a clustered Redis, all on one system. */

const seed = Date.now() % 1_000_000;
let system: System;
let arena: Arena;
let keepLog = false;

beforeAll(async () => {
  system = await System.start(silentReport, { redis: 'clustered' });
  arena = new Arena(system, { seed, say: () => undefined });
}, 240_000);

afterAll(async () => {
  await system?.stop({ keepLog });
});

test.for(faultsOf('clustered'))(
  'nothing accepted is lost, no number is given twice: $name: $what',
  async (fault) => {
    onTestFailed(() => {
      keepLog = true;
      console.error(`seed ${seed}; what the functions logged: ${system.logFile}`);
    });
    const { primary } = await system.cluster.roles();
    const { findings, accepted, secondsUntilWhole } = await arena.run(fault, shortPace);
    expect(findings).toEqual(noFindings());
    expect(secondsUntilWhole).toBeDefined();
    expect(accepted).toBeGreaterThan(0);
    expect((await system.cluster.roles()).replica).toBe(primary);
  },
);
