import { randomBytes } from 'node:crypto';
import { notFound, unavailable } from '#lib/domain/errors.ts';
import type { RecoveryState } from '#lib/mysql/recovery-state.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Accept } from '#lib/redis/accept.ts';
import type { Idempotency, Outcome } from '#lib/redis/commands/accept.ts';
import type { CounterOf, Gate } from '#lib/redis/gate.ts';

/**
 * The longest that a request waits for the broker's confirm. A command without a confirm is accepted as well:
 * it is in the outbox, and the relay publishes it.
 */
const PUBLISH_WAIT_MS = 1_000;
/** Tries of one write, because Redis may lose a counter again while it is verified. */
const TRIES = 3;

const closed = () =>
  unavailable('The numbers are being recovered. Writes are accepted again soon.', undefined, 1);
const lostMeanwhile = () =>
  unavailable('The numbers were lost during this write. It may or may not have been accepted.', undefined, 1);

type Uses = {
  accept: Accept;
  publisher: Pick<Publisher, 'publishCommand'>;
  gate: Pick<Gate, 'isOpenIn' | 'verify'>;
  numbers: Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
  /** Starts a recovery; returns at once. */
  askForRecovery: () => void;
  onUnpublished: (queue: string, error: unknown) => void;
  now: () => number;
};

/**
 * Accepts writes: numbers the command and puts it into the outbox, publishes it, and checks the gate again.
 * All throw not-found, forbidden, unprocessable (an Idempotency-Key of another request), conflict (no number
 * is left) and unavailable (after which the write may or may not have been taken).
 */
export const createSubmit = ({
  accept,
  publisher,
  gate,
  numbers,
  askForRecovery,
  onUnpublished,
  now,
}: Uses) => {
  /** Verifies the counter of a write against MySQL, before its first use after a loss of Redis. */
  const verify = async (what: string, of: CounterOf, lost: string): Promise<void> => {
    const count =
      of.chatNumber === undefined
        ? await numbers.highestChatNumber(of.token)
        : await numbers.highestMessageNumber(of.token, of.chatNumber);
    if ((await gate.verify(of, count, lost)) === 'missing') throw notFound(what);
  };

  const acceptVerified = async (
    what: string,
    counter: CounterOf,
    attempt: () => Promise<Outcome>,
  ): Promise<Extract<Outcome, { kind: 'accepted' | 'unknown' }>> => {
    for (let left = TRIES; left > 0; left -= 1) {
      const outcome = await attempt();
      if (outcome.kind === 'accepted' || outcome.kind === 'unknown') return outcome;
      if (outcome.kind === 'closed') {
        askForRecovery();
        throw closed();
      }
      await verify(what, counter, outcome.lost);
    }
    throw closed();
  };

  /** Checks the gate after the write, because Redis may have lost its data without closing the socket. */
  const confirm = async (epoch: string): Promise<void> => {
    if (await gate.isOpenIn(epoch)) return;
    askForRecovery();
    throw lostMeanwhile();
  };

  /** @returns the answer; undefined if only MySQL knows the creator */
  const submit = async (
    queue: string,
    what: string,
    counter: CounterOf,
    attempt: () => Promise<Outcome>,
  ): Promise<string | undefined> => {
    const outcome = await acceptVerified(what, counter, attempt);
    if (outcome.kind === 'unknown') return undefined;
    const { answer, command, epoch } = outcome;
    if (command !== undefined) {
      try {
        await publisher.publishCommand(queue, command, PUBLISH_WAIT_MS);
      } catch (error) {
        onUnpublished(queue, error);
      }
    }
    await confirm(epoch);
    return answer;
  };

  const created = async (answer: Promise<string | undefined>): Promise<string> => {
    const value = await answer;
    if (value === undefined) throw new Error('A creation has no creator to look up');
    return value;
  };
  const date = () => new Date(now()).toISOString();

  return {
    /** @returns the application's token */
    application: (given: { name: string; creatorId: number }, idempotency?: Idempotency): Promise<string> => {
      const token = randomBytes(18).toString('base64url');
      const command = { token, ...given, date: date() };
      return created(
        submit('create-application', 'application', { token }, () =>
          accept.application(command, idempotency),
        ),
      );
    },

    /** @returns the chat's number */
    chat: async (
      { token, title, creatorId }: { token: string; title?: string | undefined; creatorId: number },
      idempotency?: Idempotency,
    ): Promise<number> => {
      const command = { token, creatorId, ...(title === undefined ? {} : { title }), date: date() };
      const attempt = () => accept.chat(command, idempotency);
      return Number(await created(submit('create-chat', 'application', { token }, attempt)));
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
      const { token, chatNumber } = given;
      const command = { ...given, date: new Date(createdAtMs).toISOString() };
      const attempt = () => accept.message(command, createdAtMs, idempotency);
      return Number(await created(submit('create-message', 'chat', { token, chatNumber }, attempt)));
    },

    /** @param creatorId where MySQL was asked. @returns false when only MySQL knows the creator */
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
      const attempt = () => accept.applicationUpdate(command, callerId, creatorId);
      return (
        (await submit('update-application', 'application', { token: given.token }, attempt)) !== undefined
      );
    },

    /** @param senderId where MySQL was asked. @returns false when only MySQL knows the sender */
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
      const { token, chatNumber } = given;
      const command = { ...given, date: date() };
      const attempt = () => accept.messageUpdate(command, callerId, senderId);
      return (await submit('update-message', 'message', { token, chatNumber }, attempt)) !== undefined;
    },
  };
};

export type Submit = ReturnType<typeof createSubmit>;
