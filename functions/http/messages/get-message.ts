import { getMessage as contract } from '#lib/contracts/http/messages.ts';
import { toResponse } from '#lib/domain/message.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Conversation } from '#lib/reading/conversation.ts';
import { conversation } from '#lib/runtime/services/reading.ts';

type Uses = { conversation: Pick<Conversation, 'message'> };

export const getMessage = async (
  { input: { token, chatNumber, messageNumber } }: Request<typeof contract>,
  { conversation }: Uses,
) => {
  const message = await conversation.message({ token, chatNumber }, messageNumber);
  return { ...toResponse(message), version: message.version, upTo: message.upTo };
};

export const handler = httpHandler(contract, getMessage, { conversation });
