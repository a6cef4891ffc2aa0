import { createBoundedMap } from '#lib/concurrency/bounded-map.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logger } from '#lib/runtime/logger.ts';

/** The facts of one refusal: a stable code, the route and the client. */
type Refusal = { code: string; route: string; source: string };

/** The shortest time between two lines about one client. */
const QUIET_MS = 1_000;
const REMEMBERED_CLIENTS = 10_000;

const write = (refusal: Refusal, count: number) =>
  logger.warn('Request refused', { ...refusal, code: refusal.code, count });

/**
 * Logs refusals that a client can cause without limit, one line a second and client. The first one is logged at once. The
 * line after a second has the facts of the last one, and the number of refusals since the line before.
 */
export const createRefusalLog = () => {
  const open = createBoundedMap<string, { last: Refusal; count: number; isOpen: boolean }>(
    REMEMBERED_CLIENTS,
  );

  return (client: string, refusal: Refusal): void => {
    const known = open.get(client);
    if (known?.isOpen) {
      known.last = refusal;
      known.count += 1;
      return;
    }
    write(refusal, 1);
    const quiet = { last: refusal, count: 0, isOpen: true };
    open.set(client, quiet);
    const end = () => {
      if (quiet.count === 0) {
        quiet.isOpen = false;
        return;
      }
      write(quiet.last, quiet.count);
      quiet.count = 0;
      again();
    };
    // The later line is about several requests, so it names none.
    const again = () =>
      logContext.run({ function: logContext.getStore()?.function ?? '', requestId: undefined }, () =>
        setTimeout(end, QUIET_MS).unref(),
      );
    again();
  };
};
