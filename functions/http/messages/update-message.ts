import { updateMessage as contract, updateMessageByBody } from '#lib/contracts/http/messages.ts';
import { notFound } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

type Uses = { submit: Pick<Submit, 'messageUpdate'>; messages: Pick<Messages, 'find'> };

/** Redis knows the senders of recent messages. For older ones the handler reads the sender from MySQL. */
export const updateMessage = async (
  { input: { token, chatNumber, messageNumber, body }, caller }: Request<typeof contract>,
  { submit, messages }: Uses,
) => {
  const update = { token, chatNumber, messageNumber, body, callerId: caller.id };
  if (await submit.messageUpdate(update)) return {};
  const [stored] = await messages.find([update]);
  if (stored === undefined) throw notFound('message');
  await submit.messageUpdate({ ...update, senderId: stored.senderId });
  return {};
};

export const handler = httpHandler([contract, updateMessageByBody], updateMessage, { submit, messages });
