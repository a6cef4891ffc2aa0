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
  if (createdAtMs < 0 || createdAtMs > nowMs + limits.futureMs) {
    throw badInput([
      { path: 'createdAt', message: 'Must lie between 1970-01-01T00:00:00Z and 24 hours from now' },
    ]);
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
