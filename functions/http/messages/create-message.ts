import type { Acceptance } from '#lib/chat/acceptance.ts';
import { createMessage as contract } from '#lib/contracts/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { acceptance, now } from '#lib/runtime/services.ts';

type Uses = { acceptance: Acceptance; now: () => number };

export const createMessage = async (
  { input: { token, chatNumber, body, createdAt }, caller, idempotency }: Request<typeof contract>,
  { acceptance, now }: Uses,
) => {
  const nowMs = now();
  const createdAtMs = createdAt === undefined ? nowMs : Date.parse(createdAt);
  if (createdAtMs > nowMs + limits.futureMs) {
    throw badInput([{ path: 'createdAt', message: 'Must not lie more than 24 hours ahead' }]);
  }
  return {
    messageNumber: await acceptance.message(
      {
        token,
        chatNumber,
        senderId: caller.id,
        senderName: caller.name,
        body,
        date: new Date(createdAtMs).toISOString(),
      },
      {
        callerId: caller.id,
        target: `applications/${token}/chats/${chatNumber}/messages`,
        idempotencyKey: idempotency?.key,
      },
    ),
  };
};

export const handler = httpHandler(contract, createMessage, { acceptance, now });
