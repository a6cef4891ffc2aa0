import type { CommandContract } from './command.ts';
import { createApplicationCommand } from './create-application.ts';
import { createChatCommand } from './create-chat.ts';
import { createMessageCommand } from './create-message.ts';
import { indexMessageCommand } from './index-message.ts';
import { updateApplicationCommand } from './update-application.ts';
import { updateChatCommand } from './update-chat.ts';
import { updateMessageCommand } from './update-message.ts';

/** Every command, in the order in which one may depend on another. */
export const commands = [
  createApplicationCommand,
  updateApplicationCommand,
  createChatCommand,
  updateChatCommand,
  createMessageCommand,
  updateMessageCommand,
  indexMessageCommand,
] as const satisfies readonly CommandContract[];

type Command = (typeof commands)[number];
/** The contracts of commands, by the names of their queues. */
export type CommandOf = { [Contract in Command as Contract['queue']]: Contract };
/** A queue of commands that the API accepts. */
export type AcceptedQueue = Extract<Command, { outbox: true }>['queue'];

export const queueNames: readonly string[] = commands.map(({ queue }) => queue);
/** The queues of commands that the API accepts. */
export const acceptedQueues: readonly string[] = commands
  .filter(({ outbox }) => outbox)
  .map(({ queue }) => queue);
