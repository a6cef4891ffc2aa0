import * as z from 'zod';
import { closingReasons } from './frames/server.ts';

/** The id of a connection of the WebSocket API. API Gateway's ends in `=`. */
export const connectionId = z.string().regex(/^[\w=+/-]{1,128}$/);
/** Connections to close, for a reason that they hear first. */
const close = z.strictObject({
  close: z.array(connectionId).min(1).max(1_000),
  reason: z.enum(closingReasons),
});
/** A connection that had to authenticate by now. */
const check = z.strictObject({ check: connectionId });

/** A message of the queue `push-event`. */
export const signal = z.union([close, check]);
export type Signal = z.output<typeof signal>;
