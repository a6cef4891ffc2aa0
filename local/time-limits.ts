/** How long local commands, tests and benches wait for processes, in milliseconds. Busy machines need all of it. */
export const timeLimits = {
  /** Until a server answers through its own protocol. */
  serverReadyMs: 90_000,
  /** Until a server has ended after SIGTERM. SIGKILL follows. */
  serverStopMs: 20_000,
  /** Until `sls offline` answers its first request as expected. */
  apiReadyMs: 120_000,
  /** Until `sls offline` has ended after SIGTERM. SIGKILL follows. */
  apiStopMs: 10_000,
  /** For one request that asks whether `sls offline` is ready. */
  readinessRequestMs: 5_000,
  /** For one call of a function in a process of its own. */
  functionMs: 300_000,
  /** For one call of an operation from a terminal: as in the cloud, it stops by then and is called again. */
  operationMs: 900_000,
} as const;
