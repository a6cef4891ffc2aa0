import { randomBytes } from 'node:crypto';
import type { Accept } from '#lib/redis/commands/accept.ts';
import type { Idempotency } from '#lib/redis/commands/accepting-script.ts';
import { createSubmission, type SubmissionUses, type Write } from './accept-and-publish.ts';

type Uses = SubmissionUses & { accept: Accept; now: () => number };

/**
 * Submits writes: accepts the command, publishes it, and checks the gate again.
 * All throw not-found, forbidden, unprocessable (an Idempotency-Key of another request), conflict (no number
 * is left) and unavailable (after which the write may or may not have been accepted).
 */
export const createSubmit = ({ accept, now, ...uses }: Uses) => {
  const submit = createSubmission(uses);
  const date = () => new Date(now()).toISOString();
  const created = async (write: Write): Promise<string> => {
    const answer = await submit(write);
    if (answer === undefined) throw new Error('A creation has no creator to look up');
    return answer;
  };

  return {
    /** @returns the application's token */
    application: (given: { name: string; creatorId: number }, idempotency?: Idempotency): Promise<string> => {
      const command = { token: randomBytes(18).toString('base64url'), ...given, date: date() };
      return created({
        queue: 'create-application',
        what: 'application',
        counter: { token: command.token },
        accept: () => accept.application(command, idempotency),
      });
    },

    /** @returns the chat's number */
    chat: async (
      { token, title, creatorId }: { token: string; title?: string | undefined; creatorId: number },
      idempotency?: Idempotency,
    ): Promise<number> => {
      const command = { token, creatorId, ...(title === undefined ? {} : { title }), date: date() };
      const number = await created({
        queue: 'create-chat',
        what: 'application',
        counter: { token },
        accept: () => accept.chat(command, idempotency),
      });
      return Number(number);
    },

    /** @returns the message's number */
    message: async (
      {
        createdAtMs,
        ...given
      }: {
        token: string;
        chatNumber: number;
        senderId: number;
        senderName: string;
        body: string;
        createdAtMs: number;
      },
      idempotency?: Idempotency,
    ): Promise<number> => {
      const command = { ...given, date: new Date(createdAtMs).toISOString() };
      const number = await created({
        queue: 'create-message',
        what: 'chat',
        counter: { token: given.token, chatNumber: given.chatNumber },
        accept: () => accept.message(command, createdAtMs, idempotency),
      });
      return Number(number);
    },

    /** @param creatorId the creator from MySQL, if it was read. @returns false when only MySQL knows the creator */
    applicationUpdate: async ({
      callerId,
      creatorId,
      ...given
    }: {
      token: string;
      name: string;
      callerId: number;
      creatorId?: number;
    }): Promise<boolean> => {
      const command = { ...given, date: date() };
      const answer = await submit({
        queue: 'update-application',
        what: 'application',
        counter: { token: given.token },
        accept: () => accept.applicationUpdate(command, callerId, creatorId),
      });
      return answer !== undefined;
    },

    /** @param senderId the sender from MySQL, if it was read. @returns false when only MySQL knows the sender */
    messageUpdate: async ({
      callerId,
      senderId,
      ...given
    }: {
      token: string;
      chatNumber: number;
      messageNumber: number;
      body: string;
      callerId: number;
      senderId?: number;
    }): Promise<boolean> => {
      const command = { ...given, date: date() };
      const answer = await submit({
        queue: 'update-message',
        what: 'message',
        counter: { token: given.token, chatNumber: given.chatNumber },
        accept: () => accept.messageUpdate(command, callerId, senderId),
      });
      return answer !== undefined;
    },
  };
};

export type Submit = ReturnType<typeof createSubmit>;
