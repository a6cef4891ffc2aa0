import { createHash, randomUUID } from 'node:crypto';
import { forbidden, notFound, unavailable } from '#lib/domain/errors.ts';
import {
  acceptApplication,
  acceptApplicationUpdate,
  acceptChat,
  acceptMessage,
  acceptMessageUpdate,
} from './accept.lua.ts';
import type { RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import type { Keys } from './keys.ts';
import { runScript, type Script } from './script.ts';

/** `command`: what to publish, as JSON with its number and id; absent when the same request was accepted before. */
export type Accepted<Result> = { result: Result; command: string | undefined };

/** How a repeated request is known: the client's `Idempotency-Key`, if it gave one, within what it is about. */
export type Repeatable = { callerId: number; target: string; idempotencyKey?: string | undefined };

const DAY_SECONDS = 24 * 60 * 60;
/** Without a key of the client's, only our own second try after a lost connection has to be known again. */
const RETRY_SECONDS = 60;

/** The numbers of a command accepted by Redis, or 'unknown' where the owner is not known there. */
type Answer = ['accepted', string, string] | ['closed'] | ['missing'] | ['forbidden'] | ['unknown'];

/**
 * Accepts writes: each in one atomic step that numbers, keeps the command in the outbox, and remembers what the next
 * request may ask before MySQL knows. Throws not-found (unknown parent), forbidden, unavailable (Redis is down, or
 * its counters are being recovered).
 */
export const createAcceptor = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const run = async (what: string, script: Script, names: string[], args: (string | number)[]) => {
    // May run twice: a number that was given already is found by the idempotency key; an edit may be accepted twice,
    // with the same words.
    const answer = await guarded(
      client,
      (connection) => runScript(connection, script, names, args) as Promise<Answer>,
    );
    switch (answer[0]) {
      case 'closed':
        throw unavailable('The numbers are being recovered after a loss; writes will be taken again soon.');
      case 'missing':
        throw notFound(what);
      case 'forbidden':
        throw forbidden(`Only who created the ${what} may change it.`);
      case 'unknown':
        return undefined;
      case 'accepted':
        return { result: answer[1], command: answer[2] === '' ? undefined : answer[2] };
    }
  };

  const creation = async (what: string, script: Script, names: string[], args: (string | number)[]) => {
    const accepted = await run(what, script, names, args);
    if (accepted === undefined) throw new Error('A creation has no owner to look up');
    return accepted;
  };

  const numbered = ({ result, command }: Accepted<string>): Accepted<number> => ({
    result: Number(result),
    command,
  });

  const repeatable = ({ callerId, target, idempotencyKey }: Repeatable) => ({
    key: keys.idempotency(
      createHash('sha256')
        .update(JSON.stringify([callerId, target, idempotencyKey ?? randomUUID()]))
        .digest('base64url'),
    ),
    seconds: idempotencyKey === undefined ? RETRY_SECONDS : DAY_SECONDS,
  });

  return {
    /** @returns the application's token: the first one's, when the request is a repeated one */
    application: async (
      command: { token: string; name: string; creatorId: number; date: string },
      request: Repeatable,
    ): Promise<Accepted<string>> => {
      const { key, seconds } = repeatable(request);
      return creation(
        'application',
        acceptApplication,
        [
          keys.state,
          key,
          keys.applicationCounter(command.token),
          keys.outbox('create-application'),
          keys.application(command.token),
          keys.pendingApplications(command.creatorId),
        ],
        [JSON.stringify(command), command.token, seconds, command.name, command.creatorId],
      );
    },

    /** @returns undefined when Redis does not know the creator: ask MySQL and call again with it */
    applicationUpdate: (
      command: { token: string; name: string; date: string },
      callerId: number,
      creatorId?: number,
    ): Promise<Accepted<string> | undefined> =>
      run(
        'application',
        acceptApplicationUpdate,
        [
          keys.state,
          keys.applicationCounter(command.token),
          keys.outbox('update-application'),
          keys.application(command.token),
        ],
        [JSON.stringify(command), command.name, callerId, creatorId ?? ''],
      ),

    /** @returns the chat's number */
    chat: async (
      command: { token: string; creatorId: number; title?: string; date: string },
      request: Repeatable,
    ): Promise<Accepted<number>> => {
      const { key, seconds } = repeatable(request);
      return numbered(
        await creation(
          'application',
          acceptChat,
          [
            keys.state,
            key,
            keys.applicationCounter(command.token),
            keys.outbox('create-chat'),
            keys.pendingChats(command.token),
            keys.dirtyApplications,
          ],
          [JSON.stringify(command), command.token, seconds, command.title ?? ''],
        ),
      );
    },

    /** @returns the message's number. `date` is its createdAt. */
    message: async (
      command: {
        token: string;
        chatNumber: number;
        senderId: number;
        senderName: string;
        body: string;
        date: string;
      },
      request: Repeatable,
    ): Promise<Accepted<number>> => {
      const { key, seconds } = repeatable(request);
      const { token, chatNumber } = command;
      return numbered(
        await creation(
          'chat',
          acceptMessage,
          [
            keys.state,
            key,
            keys.chatCounter(token, chatNumber),
            keys.outbox('create-message'),
            keys.windowOrder(token, chatNumber),
            keys.windowEntries(token, chatNumber),
            keys.pendingOrder(token, chatNumber),
            keys.pendingIds(token, chatNumber),
            keys.dirtyChats,
          ],
          [JSON.stringify(command), `${token}:${chatNumber}`, seconds, Date.parse(command.date)],
        ),
      );
    },

    /** @returns undefined when Redis does not know the sender: ask MySQL and call again with it */
    messageUpdate: (
      command: { token: string; chatNumber: number; messageNumber: number; body: string; date: string },
      callerId: number,
      senderId?: number,
    ): Promise<Accepted<string> | undefined> => {
      const { token, chatNumber } = command;
      return run(
        'message',
        acceptMessageUpdate,
        [
          keys.state,
          keys.chatCounter(token, chatNumber),
          keys.outbox('update-message'),
          keys.windowOrder(token, chatNumber),
          keys.windowEntries(token, chatNumber),
          keys.pendingIds(token, chatNumber),
          keys.pendingEdits(token, chatNumber),
          keys.outbox('create-message'),
        ],
        [JSON.stringify(command), command.messageNumber, callerId, senderId ?? ''],
      );
    },
  };
};

export type Acceptor = ReturnType<typeof createAcceptor>;
