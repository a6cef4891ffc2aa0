import { fieldErrorsOf, summaryOf } from '#lib/contracts/field-errors.ts';
import { type ClientFrame, clientFrame, idOfRefused } from '#lib/contracts/frames/client.ts';
import { badInput, KnownError } from '#lib/domain/errors.ts';
import { parseJson } from '#lib/domain/json.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { SocketEvent } from './socket-event.ts';

/** A valid frame, or the reason why it is refused. */
export type ReadFrame =
  | { frame: ClientFrame; replyTo: string | undefined }
  | { refusal: KnownError; replyTo: string | undefined };

const refused = (message: string): ReadFrame => ({
  refusal: badInput([{ path: 'frame', message }]),
  replyTo: undefined,
});

/** @returns undefined for a text that is not JSON */
const parse = (text: string): { value: unknown } | undefined => {
  try {
    return { value: parseJson(text) };
  } catch {
    return undefined;
  }
};

/** Reads and validates a client's frame. */
export const readFrame = ({
  body,
  isBase64Encoded,
}: Pick<SocketEvent, 'body' | 'isBase64Encoded'>): ReadFrame => {
  if (typeof body !== 'string' || isBase64Encoded) return refused('Must be text');
  if (Buffer.byteLength(body) > socketLimits.frameBytes) {
    const detail = `A frame must not be longer than ${socketLimits.frameBytes} bytes.`;
    return { refusal: new KnownError('too-large', detail), replyTo: undefined };
  }
  const parsed = parse(body);
  if (parsed === undefined) return refused('Must be JSON');
  const { success, data, error } = clientFrame.safeParse(parsed.value);
  if (success) return { frame: data, replyTo: data.id };
  return {
    refusal: badInput(summaryOf(fieldErrorsOf(error, 'frame'))),
    replyTo: idOfRefused(parsed.value),
  };
};
