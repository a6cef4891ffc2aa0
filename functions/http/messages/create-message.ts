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
  if (createdAtMs > nowMs + limits.futureMs) {
    throw badInput([{ path: 'createdAt', message: 'Must not lie more than 24 hours ahead' }]);
  }
  const message = { token, chatNumber, senderId: caller.id, senderName: caller.name, body, createdAtMs };
  return { messageNumber: await submit.message(message, idempotency) };
};

export const handler = httpHandler(contract, createMessage, { submit, now });
