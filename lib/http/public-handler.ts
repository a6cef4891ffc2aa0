import { createHandlers } from './handler.ts';
import { problem } from './problem.ts';

/** Creates the handler of public documents. Their functions hold no secret for callers and no connection for limits. */
export const publicHandler = createHandlers({ problem: problem(), first: [], last: [] });
