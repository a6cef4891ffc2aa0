/** An error for the person at the terminal: fault, place and remedy. It is printed without a stack trace. */
export class Failure extends Error {
  override name = 'Failure';
}

/** A service that this machine cannot run, and that the other services do not need. */
export class Unavailable extends Failure {
  override name = 'Unavailable';
}

/** The message of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
