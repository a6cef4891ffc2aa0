import { unknownRoute as contract } from '#lib/contracts/system.ts';
import { notFound } from '#lib/domain/errors.ts';
import { httpHandler } from '#lib/http/http-handler.ts';

/** What no other function takes: the same kind of answer as everywhere. */
export const rejectUnknownRoute = (): never => {
  throw notFound('route');
};

export const handler = httpHandler(contract, rejectUnknownRoute);
