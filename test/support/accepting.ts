import { unavailable } from '#lib/domain/errors.ts';
import { createAccept } from '#lib/redis/commands/accept.ts';
import type { Cell, Idempotency, Outcome } from '#lib/redis/commands/accepting-script.ts';
import type { CreateApplication } from '#lib/redis/commands/create-application.ts';
import type { CreateChat } from '#lib/redis/commands/create-chat.ts';
import type { CreateMessage } from '#lib/redis/commands/create-message.ts';
import type { UpdateApplication } from '#lib/redis/commands/update-application.ts';
import type { UpdateMessage } from '#lib/redis/commands/update-message.ts';

/** An accepted write with its command as published. A repeated request has no command once it is stored. */
type Accepted<Result> = { result: Result; command: string | undefined; epoch: string };

const taken = (outcome: Outcome): Accepted<string> | undefined => {
  switch (outcome.kind) {
    case 'accepted':
      return { result: outcome.answer, command: outcome.command?.content, epoch: outcome.epoch };
    case 'unknown':
      return undefined;
    default:
      throw unavailable(outcome.kind);
  }
};

const created = (outcome: Outcome): Accepted<string> => {
  const accepted = taken(outcome);
  if (accepted === undefined) throw new Error('A creation has no creator to look up');
  return accepted;
};
const numbered = (outcome: Outcome): Accepted<number> => {
  const { result, ...accepted } = created(outcome);
  return { ...accepted, result: Number(result) };
};

/** The accepting step alone, without a broker: 'unavailable' while the gate is closed. */
export const acceptingOn = (cell: Cell) => {
  const accept = createAccept(cell);
  return {
    application: async (command: CreateApplication, idempotency?: Idempotency) =>
      created(await accept.application(command, idempotency)),
    chat: async (command: CreateChat, idempotency?: Idempotency) =>
      numbered(await accept.chat(command, idempotency)),
    message: async (command: CreateMessage, idempotency?: Idempotency) =>
      numbered(await accept.message(command, Date.parse(command.date), idempotency)),
    applicationUpdate: async (command: UpdateApplication, callerId: number, creatorId?: number) =>
      taken(await accept.applicationUpdate(command, callerId, creatorId)),
    messageUpdate: async (command: UpdateMessage, callerId: number, senderId?: number) =>
      taken(await accept.messageUpdate(command, callerId, senderId)),
  };
};

export type Accepting = ReturnType<typeof acceptingOn>;
