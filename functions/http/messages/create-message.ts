import type { Submit } from '#lib/chat/submit.ts';
import { createMessage as contract } from '#lib/contracts/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { now, submit } from '#lib/runtime/services.ts';

type Uses = { submit: Pick<Submit, 'message'>; now: () => number };

/** Numbers a new message and submits it; readers see it at once, it is stored later. */
export const createMessage = async (
  { input: { token, chatNumber, body, createdAt }, caller, idempotency }: Request<typeof contract>,
  { submit, now }: Uses,
) => {
  const nowMs = now();
  const createdAtMs = createdAt === undefined ? nowMs : Date.parse(createdAt);
  if (createdAtMs < 0 || createdAtMs > nowMs + limits.futureMs) {
    throw badInput([
      { path: 'createdAt', message: 'Must lie between 1970-01-01T00:00:00Z and 24 hours from now' },
    ]);
  }
  const message = { token, chatNumber, senderId: caller.id, senderName: caller.name, body, createdAtMs };
  return { messageNumber: await submit.message(message, idempotency) };
};

export const handler = httpHandler(contract, createMessage, { submit, now });
