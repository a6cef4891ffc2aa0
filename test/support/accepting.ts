import type { Given, Unnumbered } from '#lib/contracts/commands/command.ts';
import type { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import type { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import type { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Cell, Idempotency, Outcome } from '#lib/redis/commands/accept.ts';
import { createAccepts } from '#lib/redis/commands/all.ts';

/** An accepted write with its command as published. A repeated request has no command once it is stored. */
type Accepted<Result> = { result: Result; command: string | undefined; epoch: string };

const taken = <Result>(outcome: Outcome<Result>): Accepted<Result> | undefined => {
  switch (outcome.kind) {
    case 'accepted':
      return { result: outcome.answer, command: outcome.command?.content, epoch: outcome.epoch };
    case 'unknown':
      return undefined;
    default:
      throw unavailable(outcome.kind);
  }
};

const created = <Result>(outcome: Outcome<Result>): Accepted<Result> => {
  const accepted = taken(outcome);
  if (accepted === undefined) throw new Error('A creation has no creator to look up');
  return accepted;
};

/** The owner of an item that MySQL knows; no look-up went before, so its version does not count. */
const storedBy = (ownerId: number | undefined) =>
  ownerId === undefined ? undefined : { ownerId, version: 0, lookedUpAt: '' };

/** The accepting step alone, without a broker: 'unavailable' while the gate is closed. */
export const acceptingOn = (cell: Cell) => {
  const accepts = createAccepts(cell);
  return {
    application: async (given: Given<typeof createApplicationCommand>, idempotency?: Idempotency) =>
      created(await accepts['create-application'](given, { idempotency })),
    chat: async (given: Given<typeof createChatCommand>, idempotency?: Idempotency) =>
      created(await accepts['create-chat'](given, { idempotency })),
    message: async ({ date, ...given }: Unnumbered<typeof createMessageCommand>, idempotency?: Idempotency) =>
      created(await accepts['create-message']({ ...given, createdAtMs: Date.parse(date) }, { idempotency })),
    applicationUpdate: async (
      given: Omit<Given<typeof updateApplicationCommand>, 'callerId'>,
      callerId: number,
      ownerId?: number,
    ) => taken(await accepts['update-application']({ ...given, callerId }, { stored: storedBy(ownerId) })),
    messageUpdate: async (
      given: Omit<Given<typeof updateMessageCommand>, 'callerId'>,
      callerId: number,
      ownerId?: number,
    ) => taken(await accepts['update-message']({ ...given, callerId }, { stored: storedBy(ownerId) })),
  };
};

export type Accepting = ReturnType<typeof acceptingOn>;
