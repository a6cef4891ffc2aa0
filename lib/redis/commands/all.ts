import type { AcceptedQueue, CommandOf } from '#lib/contracts/commands/all.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Accept, Cell } from './accept.ts';
import { acceptApplication, settleApplications } from './create-application.ts';
import { acceptChat, settleChats } from './create-chat.ts';
import { acceptMessage, settleMessages } from './create-message.ts';
import { settleIndexed } from './index-message.ts';
import type { Erasable, Settle } from './settle.ts';

export type { Erasable };

import { acceptApplicationUpdate, settleApplicationUpdates } from './update-application.ts';
import { acceptChatUpdate, settleChatUpdates } from './update-chat.ts';
import { acceptMessageUpdate, settleMessageUpdates } from './update-message.ts';

/** How Redis accepts each command. */
export type Accepts = { [Queue in AcceptedQueue]: Accept<CommandOf[Queue]> };

export const createAccepts = (cell: Cell): Accepts => ({
  'create-application': acceptApplication(cell),
  'update-application': acceptApplicationUpdate(cell),
  'create-chat': acceptChat(cell),
  'update-chat': acceptChatUpdate(cell),
  'create-message': acceptMessage(cell),
  'update-message': acceptMessageUpdate(cell),
});

/** How Redis settles each command. Each may run again for the same commands. */
export type Settles = {
  [Queue in Exclude<AcceptedQueue, `update-${string}`>]: Settle<CommandOf[Queue]>;
} & {
  'update-application': Settle<CommandOf['update-application'], Erasable>;
  'update-chat': Settle<CommandOf['update-chat'], Erasable>;
  'update-message': Settle<CommandOf['update-message'], Message>;
  'index-message': ReturnType<typeof settleIndexed>;
};

export const createSettles = (cell: Cell): Settles => ({
  'create-application': settleApplications(cell),
  'update-application': settleApplicationUpdates(cell),
  'create-chat': settleChats(cell),
  'update-chat': settleChatUpdates(cell),
  'create-message': settleMessages(cell),
  'update-message': settleMessageUpdates(cell),
  'index-message': settleIndexed(cell),
});
