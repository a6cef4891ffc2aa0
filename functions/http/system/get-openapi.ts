import { openApiDocument } from '#lib/contracts/openapi.ts';
import { getOpenapi as contract } from '#lib/contracts/system.ts';
import { httpHandler } from '#lib/http/http-handler.ts';

export const getOpenapi = () => openApiDocument();

export const handler = httpHandler(contract, getOpenapi);
