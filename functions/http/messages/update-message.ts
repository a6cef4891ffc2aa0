import type { Acceptance } from '#lib/chat/acceptance.ts';
import { updateMessage as contract, updateMessageByBody } from '#lib/contracts/messages.ts';
import { notFound } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import { acceptance, messages, now } from '#lib/runtime/services.ts';

type Uses = { acceptance: Acceptance; messages: Pick<Messages, 'find'>; now: () => number };

/** MySQL is asked only for a message of long ago, whose sender Redis has forgotten. */
export const updateMessage = async (
  { input: { token, chatNumber, messageNumber, body }, caller }: Request<typeof contract>,
  { acceptance, messages, now }: Uses,
) => {
  const command = { token, chatNumber, messageNumber, body, date: new Date(now()).toISOString() };
  if (await acceptance.messageUpdate(command, caller.id)) return {};
  const [stored] = await messages.find([command]);
  if (stored === undefined) throw notFound('message');
  await acceptance.messageUpdate(command, caller.id, stored.senderId);
  return {};
};

export const handler = httpHandler([contract, updateMessageByBody], updateMessage, {
  acceptance,
  messages,
  now,
});
