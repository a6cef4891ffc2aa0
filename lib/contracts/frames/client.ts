import * as z from 'zod';
import { number, optional, token } from '../fields.ts';

const id = z
  .string()
  .min(1)
  .max(64)
  .meta({ description: 'The answer repeats it as `replyTo`', examples: ['1'] });
const asked = { id: optional(id) };
const feed = { token, chatNumber: optional(number) };

const authenticateFrame = z
  .strictObject({
    type: z.literal('authenticate'),
    accessToken: z
      .string()
      .min(1)
      .max(4_096)
      .meta({ description: 'The access token of `POST /users/token`', examples: ['eyJhbGciOiJkaXIi…'] }),
    ...asked,
  })
  .meta({
    id: 'AuthenticateFrame',
    description:
      'The first frame of a connection, within ten seconds; again with a fresh token before the old one ends',
  });
const unsubscribeFrame = z
  .strictObject({ type: z.literal('unsubscribe'), ...feed, ...asked })
  .meta({ id: 'UnsubscribeFrame', description: 'Ends a subscription' });
const pingFrame = z
  .strictObject({ type: z.literal('ping'), ...asked })
  .meta({ id: 'PingFrame', description: 'Renews the connection; at least every `pingSeconds`' });

/** A frame that a client sends. */
export const clientFrame = z
  .discriminatedUnion('type', [authenticateFrame, unsubscribeFrame, pingFrame], {
    error: 'Must be authenticate, unsubscribe or ping',
  })
  .meta({ id: 'ClientFrame', description: 'A frame that a client sends: at most 4 KB' });
export type ClientFrame = z.output<typeof clientFrame>;

/** The `id` of a frame that is refused, if it is one. */
export const idOfRefused = (frame: unknown): string | undefined => {
  const given = typeof frame === 'object' && frame !== null && 'id' in frame ? frame.id : undefined;
  return id.safeParse(given).data;
};
