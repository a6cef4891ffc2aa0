/** The lengths of the parts of a round. */
export type Pace = {
  /** Undisturbed writes before the fault. */
  beforeMs: number;
  /** The default duration of a fault. */
  outageMs: number;
  /** How long a server is frozen: longer than a request waits for any, in long rounds longer than a consumer may run. */
  pauseMs: number;
  /** How long MySQL and OpenSearch are both down. */
  downMs: number;
  /** Writers continue for this time after the fault. */
  afterMs: number;
  /** How often the functions are killed in a round. */
  kills: number;
  /** Commands in a batch with poison. */
  batch: number;
  wholeWithinMs: number;
};

export const shortPace: Pace = {
  beforeMs: 1_500,
  outageMs: 5_500,
  pauseMs: 5_500,
  downMs: 6_000,
  afterMs: 1_000,
  kills: 2,
  batch: 1_000,
  wholeWithinMs: 60_000,
};

export const longPace: Pace = {
  beforeMs: 2_000,
  outageMs: 15_000,
  pauseMs: 65_000,
  downMs: 60_000,
  afterMs: 5_000,
  kills: 5,
  batch: 1_000,
  wholeWithinMs: 120_000,
};
