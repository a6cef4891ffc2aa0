import type { Acceptance } from '#lib/chat/acceptance.ts';
import { createChat as contract } from '#lib/contracts/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { acceptance, now } from '#lib/runtime/services.ts';

type Uses = { acceptance: Acceptance; now: () => number };

export const createChat = async (
  { input: { token, title }, caller, idempotency }: Request<typeof contract>,
  { acceptance, now }: Uses,
) => ({
  chatNumber: await acceptance.chat(
    {
      token,
      creatorId: caller.id,
      ...(title === undefined ? {} : { title }),
      date: new Date(now()).toISOString(),
    },
    { callerId: caller.id, target: `applications/${token}/chats`, idempotencyKey: idempotency?.key },
  ),
});

export const handler = httpHandler(contract, createChat, { acceptance, now });
