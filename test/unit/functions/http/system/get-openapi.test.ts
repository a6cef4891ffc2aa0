import { expect, it } from 'vitest';
import { routes } from '#lib/contracts/index.ts';
import { getOpenapi } from '../../../../../functions/http/system/get-openapi.ts';

it('answers an OpenAPI 3.1 document that lists every route of the contracts', () => {
  const document = getOpenapi({}, { socket: { url: undefined } });
  expect(document).not.toHaveProperty('x-socket-url');
  expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./) });
  const paths = new Set(Object.values(routes).map(({ path }) => path));
  expect(document).toHaveProperty('paths');
  expect(Object.keys(Object(document).paths).sort()).toEqual([...paths].sort());
});

it('names the address of the WebSocket API, and has its frames as schemas', () => {
  const document = getOpenapi({}, { socket: { url: 'wss://api.example.org/dev' } });
  expect(document).toMatchObject({
    'x-socket-url': 'wss://api.example.org/dev',
    components: { schemas: { ClientFrame: {}, ServerFrame: {}, PingFrame: {}, PongFrame: {} } },
  });
});
