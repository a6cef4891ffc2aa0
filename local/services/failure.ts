/** What went wrong, where, and what to do, for the person at the terminal: shown without a stack trace. */
export class Failure extends Error {
  override name = 'Failure';
}

/** A service that cannot be had on this machine, where the rest can do without it. */
export class Unavailable extends Failure {
  override name = 'Unavailable';
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
