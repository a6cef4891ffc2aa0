import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import { number, token } from '../fields.ts';

const answered = {
  replyTo: z
    .string()
    .optional()
    .meta({ description: 'The `id` of the frame that this answers', examples: ['1'] }),
};
const changeNumber = z
  .int()
  .min(0)
  .meta({ description: 'Rises with every change, not consecutive', examples: [1_772_357_400_000_000] });
const feed = { token, chatNumber: number.optional() };

const authenticated = z
  .object({
    type: z.literal('authenticated'),
    expiresIn: z.int().meta({ description: 'Seconds until the access token ends', examples: [3_600] }),
    pingSeconds: z.int().meta({ description: 'The longest time between two pings', examples: [30] }),
    ...answered,
  })
  .meta({ id: 'AuthenticatedFrame' });
const subscribed = z
  .object({ type: z.literal('subscribed'), ...feed, changeNumber, ...answered })
  .meta({ id: 'SubscribedFrame', description: 'Every change above `changeNumber` will be sent' });
const unsubscribed = z
  .object({ type: z.literal('unsubscribed'), ...feed, ...answered })
  .meta({ id: 'UnsubscribedFrame' });
const pong = z
  .object({
    type: z.literal('pong'),
    positions: z
      .array(z.object({ ...feed, changeNumber }))
      .optional()
      .meta({ description: 'The newest change of each subscription; absent while it cannot be read' }),
    ...answered,
  })
  .meta({ id: 'PongFrame', description: 'A subscription that `positions` does not name has ended' });
const refused = z
  .object({
    type: z.literal('error'),
    status: z.int().meta({ examples: [400] }),
    title: z.string().meta({ examples: ['Bad Request'] }),
    detail: z.string().optional(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .max(limits.errors)
      .optional(),
    ...answered,
  })
  .meta({ id: 'ErrorFrame', description: 'A frame was refused; the connection stays open' });

export const closingReasons = [
  'signed-out',
  'bad-frames',
  'token-expired',
  'too-slow',
  'idle',
  'limit',
  'restart',
] as const;
export type ClosingReason = (typeof closingReasons)[number];
const closing = z
  .object({ type: z.literal('closing'), reason: z.enum(closingReasons) })
  .meta({ id: 'ClosingFrame', description: 'The server closes the connection after this frame' });

const read = z
  .object({ type: z.literal('read'), token, chatNumber: number, messageNumber: number })
  .meta({ id: 'ReadFrame', description: 'The user has read the chat up to this message; best effort' });

/** A frame that the server sends. */
export const serverFrame = z
  .discriminatedUnion('type', [authenticated, subscribed, unsubscribed, pong, refused, read, closing])
  .meta({ id: 'ServerFrame', description: 'A frame that the server sends: at most 32 KB' });
export type ServerFrame = z.input<typeof serverFrame>;
/** The answer to a frame, before it names the frame. */
export type Answer = Extract<ServerFrame, { type: 'authenticated' | 'subscribed' | 'unsubscribed' | 'pong' }>;
