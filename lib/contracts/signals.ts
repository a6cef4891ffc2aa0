import * as z from 'zod';
import { changeTypes, type NumberedChange } from '#lib/domain/change.ts';
import { number } from './commands/fields.ts';
import { token } from './fields.ts';
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

const changeNumber = z.int().min(1);
/** A change that somebody watches, and the changes before it in the feeds that are watched. Its content is read later. */
const change = z.strictObject({
  change: z
    .strictObject({
      type: z.enum(changeTypes),
      token,
      chatNumber: number.optional(),
      messageNumber: number.optional(),
      changeNumber,
      before: z.strictObject({ application: z.int().min(0).optional(), chat: z.int().min(0).optional() }),
    })
    .transform(
      ({
        type,
        token,
        chatNumber,
        messageNumber,
        changeNumber,
        before: { application, chat },
      }): NumberedChange => ({
        type,
        token,
        ...(chatNumber === undefined ? {} : { chatNumber }),
        ...(messageNumber === undefined ? {} : { messageNumber }),
        changeNumber,
        before: {
          ...(application === undefined ? {} : { application }),
          ...(chat === undefined ? {} : { chat }),
        },
      }),
    ),
});
/** A user who has connections has read a chat up to a message. */
const read = z.strictObject({
  read: z.strictObject({ userId: z.int().min(1), token, chatNumber: number, messageNumber: number }),
});

/** A message of the queue `push-event`. */
export const signal = z.union([change, read, close, check]);
export type Signal = z.output<typeof signal>;
/** A signal as it is published. */
export type WrittenSignal = z.input<typeof signal>;
