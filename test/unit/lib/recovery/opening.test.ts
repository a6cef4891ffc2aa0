import { describe, expect, test } from 'vitest';
import { openGate } from '#lib/recovery/opening.ts';

const FAR = 9_000_000_000_000_000;

const givenOpening = (results: ('open' | 'lost' | 'superseded' | 'changed')[], isNewest = true) => {
  const recorded: { found: number; above: number }[] = [];
  const opened: object[] = [];
  const attempt = {
    readClocks: async () => ({ clock: 16, late: FAR, now: 48 }),
    open: async (epoch: number, range: { witness: number; found: number; start: number }) => {
      opened.push({ epoch, ...range });
      return results.shift() ?? 'open';
    },
  };
  const recoveryState = {
    recordOpening: async (_epoch: number, range: { found: number; above: number }) => {
      recorded.push(range);
      return isNewest ? range.above + 1 : undefined;
    },
  };
  return { recorded, opened, open: () => openGate(attempt, 7, 64, { recoveryState }) };
};

describe('an opening', () => {
  test('records the interval from the clock as it was found to one above all numbers, and begins there', async () => {
    const { recorded, opened, open } = givenOpening(['lost']);
    expect(await open()).toBe('lost');
    expect(recorded).toEqual([{ found: 16, above: FAR }]);
    expect(opened).toEqual([{ epoch: 7, witness: 64, found: 16, start: FAR + 1 }]);
  });

  test('reads the clocks again if they have changed meanwhile, and gives up after three times', async () => {
    const { opened, open } = givenOpening(['changed', 'open']);
    expect(await open()).toBe('open');
    expect(opened).toHaveLength(2);
    expect(await givenOpening(['changed', 'changed', 'changed']).open()).toBe('superseded');
  });

  test('does not happen once a later epoch has begun', async () => {
    const { opened, open } = givenOpening([], false);
    expect(await open()).toBe('superseded');
    expect(opened).toEqual([]);
  });
});
