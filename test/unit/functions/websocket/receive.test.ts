import { expect, it } from 'vitest';
import type { ClientFrame } from '#lib/contracts/frames/client.ts';
import type { Subscriptions } from '#lib/live/subscriptions.ts';
import { receive } from '../../../../functions/websocket/receive.ts';

const connection = { id: 'one=', connectedAtMs: 1, address: '127.0.0.1' };
const subscriptions: Subscriptions = {
  authenticate: async (_connection, accessToken) => ({
    type: 'authenticated',
    expiresIn: accessToken.length,
    pingSeconds: 30,
  }),
  unsubscribe: async (_connection, { token, chatNumber = 0 }) => ({
    type: 'unsubscribed',
    token,
    chatNumber,
  }),
  ping: async () => ({ type: 'pong', positions: [] }),
};

it.each<[ClientFrame, object]>([
  [
    { type: 'authenticate', accessToken: 'four', id: undefined },
    { type: 'authenticated', expiresIn: 4, pingSeconds: 30 },
  ],
  [
    { type: 'unsubscribe', token: 'app', chatNumber: 2, id: undefined },
    { type: 'unsubscribed', token: 'app', chatNumber: 2 },
  ],
  [
    { type: 'ping', id: undefined },
    { type: 'pong', positions: [] },
  ],
])('answers %o', async (frame, answer) => {
  expect(await receive({ frame, connection }, { subscriptions })).toEqual(answer);
});
