/** The value below which `part` (0 to 1) of the samples lie. */
export const percentile = (samples: readonly number[], part: number): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

export type Variants = Record<string, () => Promise<unknown>>;

/**
 * Latencies in milliseconds of each variant, one call at a time. The variants take turns, a few calls each, so that
 * what else the machine does meets all of them alike: their ratios can be relied on where the times cannot.
 */
export const measureInTurns = async <Of extends Variants>(
  variants: Of,
  {
    rounds,
    callsARound,
    warmUp,
    detail,
  }: { rounds: number; callsARound: number; warmUp: number; detail: (text: string) => void },
): Promise<Record<keyof Of, number[]>> => {
  const entries = Object.entries(variants);
  const samples = Object.fromEntries(entries.map(([name]) => [name, [] as number[]])) as Record<
    keyof Of,
    number[]
  >;
  for (const [name, run] of entries) {
    detail(`warming up ${name}`);
    for (let call = 0; call < warmUp; call += 1) await run();
  }
  for (let round = 0; round < rounds; round += 1) {
    detail(`round ${round + 1} of ${rounds}`);
    for (const [name, run] of entries) {
      for (let call = 0; call < callsARound; call += 1) {
        const begunAt = performance.now();
        await run();
        samples[name]?.push(performance.now() - begunAt);
      }
    }
  }
  return samples;
};

/**
 * Calls a second of each variant with so many at once, in turns of some seconds.
 * @returns the median of its turns
 */
export const throughputInTurns = async <Of extends Variants>(
  variants: Of,
  { rounds, turnMs, atOnce }: { rounds: number; turnMs: number; atOnce: number },
): Promise<Record<keyof Of, number>> => {
  const rates = Object.fromEntries(Object.keys(variants).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(variants)) {
      const begunAt = performance.now();
      let calls = 0;
      const repeat = async () => {
        while (performance.now() - begunAt < turnMs) {
          await run();
          calls += 1;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, repeat));
      // The first round warms up.
      if (round > 0) rates[name]?.push((calls / (performance.now() - begunAt)) * 1000);
    }
  }
  return Object.fromEntries(
    Object.entries(rates).map(([name, ofRounds]) => [name, median(ofRounds)]),
  ) as Record<keyof Of, number>;
};

/** Lines up columns: the first to the left, numbers to the right. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
};

export const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
export const times = (value: number): string => `${value.toFixed(2)}×`;
