import { getOpenapi as contract } from '#lib/contracts/http/system.ts';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';
import { publicHandler } from '#lib/http/public-handler.ts';
import { socket } from '#lib/runtime/services/settings.ts';

/** The document of the contracts, with the address of the WebSocket API. */
export const getOpenapi = (_request: unknown, { socket }: { socket: { url: string | undefined } }) => ({
  ...openApiDocument(),
  ...(socket.url === undefined ? {} : { 'x-socket-url': socket.url }),
});

export const handler = publicHandler(contract, getOpenapi, { socket });
