import type { Cell, Idempotency, Outcome } from './accepting-script.ts';
import { acceptApplication, type CreateApplication } from './create-application.ts';
import { acceptChat, type CreateChat } from './create-chat.ts';
import { createMessageAcceptance } from './create-message.ts';
import { acceptApplicationUpdate, type UpdateApplication } from './update-application.ts';
import { acceptMessageUpdate, type UpdateMessage } from './update-message.ts';

/** Accepts each write in one atomic script; see `commands/`. */
export const createAccept = (cell: Cell) => ({
  application: (command: CreateApplication, idempotency?: Idempotency): Promise<Outcome> =>
    acceptApplication(cell, command, idempotency),
  applicationUpdate: (command: UpdateApplication, callerId: number, creatorId?: number): Promise<Outcome> =>
    acceptApplicationUpdate(cell, command, callerId, creatorId),
  chat: (command: CreateChat, idempotency?: Idempotency): Promise<Outcome> =>
    acceptChat(cell, command, idempotency),
  message: createMessageAcceptance(cell),
  messageUpdate: (command: UpdateMessage, callerId: number, senderId?: number): Promise<Outcome> =>
    acceptMessageUpdate(cell, command, callerId, senderId),
});

export type Accept = ReturnType<typeof createAccept>;
