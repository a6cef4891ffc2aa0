import type { ServerFrame } from '#lib/contracts/frames/server.ts';
import { statuses } from '#lib/contracts/http/statuses.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';

/** Logs an error of a frame; no other code does. Refusals of a client's own frames are not worth a line. */
const log = (error: unknown, connectionId: string): void => {
  if (!isKnownError(error)) logger.error('Unexpected error', { code: 'unexpected-error', error });
  else if (error.code === 'unavailable') {
    logger.warn('Unavailable', {
      code: error.logCode ?? 'unavailable',
      reason: error.message,
      ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    });
  } else if (error.code === 'unauthenticated') {
    logger.warn('Frame refused', { code: error.logCode ?? 'frame-unauthenticated', connectionId });
  }
};

/** Turns an error into a frame, and logs it. An unknown error becomes a 500 without details. */
export const errorFrame = (error: unknown, connectionId: string): Extract<ServerFrame, { type: 'error' }> => {
  log(error, connectionId);
  if (!isKnownError(error)) return { type: 'error', status: 500, title: 'Internal Server Error' };
  return {
    type: 'error',
    ...statuses[error.code],
    detail: error.message,
    ...(error.fields === undefined ? {} : { errors: error.fields }),
  };
};
