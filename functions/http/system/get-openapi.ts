import { getOpenapi as contract } from '#lib/contracts/http/system.ts';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';
import { httpHandler } from '#lib/http/http-handler.ts';

export const getOpenapi = () => openApiDocument();

export const handler = httpHandler(contract, getOpenapi);
