import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { createMessage as contract } from '#lib/contracts/http/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { now } from '#lib/runtime/services/settings.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

type Uses = { submit: Submit; now: () => number };

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
  return {
    messageNumber: await submit(
      createMessageCommand,
      {
        token,
        chatNumber,
        senderId: caller.id,
        sender: caller.handle,
        senderName: caller.name,
        body,
        createdAtMs,
        generation: caller.generation,
      },
      idempotency,
    ),
  };
};

export const handler = httpHandler(contract, createMessage, { submit, now });
