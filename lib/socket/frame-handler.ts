import type { Context } from 'aws-lambda';
import type { ClientFrame } from '#lib/contracts/frames/client.ts';
import type { Answer, ClosingReason, ServerFrame } from '#lib/contracts/frames/server.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { isKnownError, KnownError } from '#lib/domain/errors.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import { lazy, type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logger } from '#lib/runtime/logger.ts';
import { posting } from '#lib/runtime/services/live.ts';
import { connections } from '#lib/runtime/services/redis.ts';
import { prepareForRequest } from '#lib/runtime/services/servers.ts';
import { errorFrame } from './error-frame.ts';
import { readFrame } from './read-frame.ts';
import {
  connectionOf,
  expectSocketEvent,
  type SocketConnection,
  type SocketEvent,
  type SocketResult,
} from './socket-event.ts';

export type { SocketConnection } from './socket-event.ts';

/** The server ends the connection, after an error if there is one. */
export type Ending = { closing: ClosingReason; after?: KnownError };
type FrameRequest = { frame: ClientFrame; connection: SocketConnection };

const tooMany = () =>
  new KnownError(
    'too-many-requests',
    `A connection may send ${socketLimits.frames.count} frames in ${socketLimits.frames.seconds} seconds.`,
  );

/** Redis being away must not refuse a frame. */
const count = async (id: string, isBad: boolean): Promise<'counted' | 'too-many' | 'too-many-bad'> => {
  try {
    return await connections().countFrame(id, { isBad });
  } catch (error) {
    if (isKnownError(error, 'unavailable')) return 'counted';
    throw error;
  }
};

const answer = async (
  event: SocketEvent,
  respondTo: (request: FrameRequest) => Promise<Answer | Ending>,
): Promise<{ frames: ServerFrame[]; isEnd: boolean }> => {
  const connection = connectionOf(event);
  const read = readFrame(event);
  const reply = read.replyTo === undefined ? {} : { replyTo: read.replyTo };
  const refuse = (error: unknown): ServerFrame => ({ ...errorFrame(error, connection.id), ...reply });
  const end = (closing: ClosingReason, error?: unknown) => ({
    frames: [...(error === undefined ? [] : [refuse(error)]), { type: 'closing' as const, reason: closing }],
    isEnd: true,
  });
  try {
    await prepareForRequest();
    const counted = await count(connection.id, 'refusal' in read);
    if ('refusal' in read && counted === 'too-many-bad') return end('bad-frames', read.refusal);
    if (counted === 'too-many') throw tooMany();
    if ('refusal' in read) throw read.refusal;
    const result = await respondTo({ frame: read.frame, connection });
    if ('closing' in result) return end(result.closing, result.after);
    return { frames: [{ ...result, ...reply }], isEnd: false };
  } catch (error) {
    return { frames: [refuse(error)], isEnd: false };
  }
};

/** Sends the last frames and closes the connection. A client also closes it by itself. */
const endConnection = async (id: string, frames: readonly ServerFrame[]): Promise<SocketResult> => {
  const texts = frames.map((frame) => JSON.stringify(frame));
  try {
    await posting().post([{ connections: [id], frames: texts, close: true }]);
    return { statusCode: 200 };
  } catch (error) {
    logger.warn('A connection could not be closed', {
      code: 'connection-not-closed',
      cause: describeError(error),
    });
    return { statusCode: 200, body: texts.at(-1) ?? '' };
  }
};

/**
 * Creates the handler of a client's frames. It validates and counts each frame, and answers with one, also to every
 * error: without an answer, API Gateway would send one of its own.
 */
export const frameHandler = <Uses extends object>(
  respondTo: (request: FrameRequest, uses: Uses) => Promise<Answer | Ending>,
  providers: Providers<Uses>,
) => {
  const uses = lazy(() => provide<Uses>(providers));
  const handle = async (event: SocketEvent): Promise<SocketResult> => {
    const { frames, isEnd } = await answer(event, (request) => respondTo(request, uses()));
    if (isEnd) return endConnection(event.requestContext.connectionId, frames);
    return { statusCode: 200, body: JSON.stringify(frames[0]) };
  };
  return async (given: unknown, context: Context): Promise<SocketResult> => {
    const event = expectSocketEvent(given);
    const { requestId } = event.requestContext;
    return logContext.run({ function: context.functionName, requestId }, () => handle(event));
  };
};
