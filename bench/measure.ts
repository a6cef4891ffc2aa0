/** The value below which `part` (0 to 1) of the samples lie. */
export const percentile = (samples: readonly number[], part: number): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

export type Work = () => Promise<unknown>;
/** Calls a second, and processor time of this Node process in microseconds for each call. */
export type Sample = { perSecond: number; cpuMicros: number };

/** Calls `work` for `turnMs`, with `inFlight` calls at once. */
export const takeTurn = async (
  work: Work,
  { inFlight, turnMs }: { inFlight: number; turnMs: number },
): Promise<Sample> => {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let calls = 0;
  const repeat = async () => {
    while (performance.now() - startedAt < turnMs) {
      await work();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, repeat));
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: (calls * 1_000) / (performance.now() - startedAt),
    cpuMicros: (user + system) / calls,
  };
};

export type Compared = Sample & {
  /** Rate divided by the rate of another work in the same round; the median of all rounds. */
  ratioTo: (name: string) => number;
};

/**
 * Measures works in alternating short turns, so that other load on the machine affects all of them alike.
 * @returns medians of all rounds but the first, which warms up
 */
export const compare = async (
  works: Record<string, Work>,
  { inFlight, turnMs, rounds }: { inFlight: number; turnMs: number; rounds: number },
): Promise<(name: string) => Compared> => {
  const samples = new Map<string, Sample[]>(Object.keys(works).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, work] of Object.entries(works)) {
      const sample = await takeTurn(work, { inFlight, turnMs });
      if (round > 0) samples.get(name)?.push(sample);
    }
  }
  return (name) => {
    const own = samples.get(name) ?? [];
    return {
      perSecond: median(own.map(({ perSecond }) => perSecond)),
      cpuMicros: median(own.map(({ cpuMicros }) => cpuMicros)),
      ratioTo: (other) =>
        median(
          own.map(
            ({ perSecond }, round) => perSecond / (samples.get(other)?.[round]?.perSecond ?? Number.NaN),
          ),
        ),
    };
  };
};
