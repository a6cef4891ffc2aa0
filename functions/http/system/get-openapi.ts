import { getOpenapi as contract } from '#lib/contracts/http/system.ts';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';
import { publicHandler } from '#lib/http/public-handler.ts';

export const getOpenapi = () => openApiDocument();

export const handler = publicHandler(contract, getOpenapi);
