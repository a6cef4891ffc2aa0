import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { DeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import { RETRY_DELAY_MS } from '#lib/rabbitmq/topology.ts';
import type { Counters } from '#lib/redis/counters.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { applications, chats, counters, deadLetters, outbox, publisher } from '#lib/runtime/services.ts';

type Uses = {
  counters: Pick<
    Counters,
    | 'gate'
    | 'openGate'
    | 'read'
    | 'raise'
    | 'forgetApplications'
    | 'markDirty'
    | 'hasPassedBarrier'
    | 'deferredLately'
  >;
  outbox: Pick<Outbox, 'commands'>;
  publisher: Pick<Publisher, 'publish' | 'declare' | 'depth'>;
  applications: Pick<Applications, 'highestChatNumbers'>;
  chats: Pick<Chats, 'highestMessageNumbers'>;
  deadLetters: Pick<DeadLetters, 'list'>;
};

const BATCH = 1_000;
const POLL_MS = 100;
const BARRIER_AGAIN_MS = 15_000;
/** Deferred commands that wait for a parent which never comes must not hold the recovery up. */
const RETRY_WAIT_MS = 10_000;
/** Of each queue's dead letters, so many keep their numbers. */
const MAX_DEAD_LETTERS = 10_000;
/** Of messages and edits, so many are published again at once: more are the relay's to bring. */
const MAX_RELAYED = 10_000;

const schema = z.object({
  /** Longer than any function that numbers may run: by then nothing is published any more that Redis does not know. */
  graceSeconds: z.number().min(0).default(12),
});

/** Only what was accepted here has a command id: what another program made up must not move a counter. */
const acceptedApplication = z.object({ commandId: z.int().min(1), token: z.string() });
const acceptedChat = acceptedApplication.extend({ chatNumber: z.int().min(1) });
const acceptedMessage = acceptedChat.extend({ messageNumber: z.int().min(1) });

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The function's time is over; the next run begins anew. */
class OutOfTime extends Error {}

/**
 * Opens the gate before numbering again after Redis came back without its state, or with an older one.
 *
 * Numbers that were given may still be on their way: in a handler that was accepted before the loss, and in the queues.
 * So this waits until no such handler runs (the grace), then until everything in the queues has reached MySQL (a
 * barrier goes through each queue behind all that is in it, parents first, and again behind what was deferred and came
 * back), and only then takes the highest numbers from MySQL, and from the dead letters, whose numbers a client was
 * told as well. A counter is raised, never lowered.
 *
 * What is still in an outbox behind the barrier is not in the broker: an older state holds it, or its publish failed.
 * It is published again before the next queue is looked at: what waits there for its parent, with a number that the
 * older state does not know, may wait for this. May run twice at once, and begins anew after a crash.
 */
export const recoverCounters = async (
  { options, remainingMs, log }: Run<z.output<typeof schema>>,
  { counters, outbox, publisher, applications, chats, deadLetters }: Uses,
): Promise<{ gate: 'open' | 'closed'; raised?: number }> => {
  const gate = await counters.gate();
  if (gate.open) return { gate: 'open' };
  log('The counters are being recovered', { closedForMs: Math.round(gate.closedForMs) });

  const inTime = () => {
    if (remainingMs() <= 0) throw new OutOfTime();
  };
  const drain = async (queue: string): Promise<void> => {
    const id = randomUUID();
    // Published again now and then: a broker that loses its disk loses the barrier too.
    for (let publishedAtMs = 0; !(await counters.hasPassedBarrier(id)); await pause(POLL_MS)) {
      inTime();
      if (Date.now() - publishedAtMs < BARRIER_AGAIN_MS) continue;
      await publisher.publish([{ queue, content: JSON.stringify({ barrier: id }) }]);
      publishedAtMs = Date.now();
    }
  };
  const someWait = async (queue: string): Promise<boolean> =>
    (await counters.deferredLately(queue)) || (await publisher.depth(queue)).retry > 0;
  /** What waited for its parent is in its queue again. */
  const returnDeferred = async (queue: string): Promise<void> => {
    await pause(2 * RETRY_DELAY_MS);
    const deadline = Date.now() + RETRY_WAIT_MS;
    while ((await publisher.depth(queue)).retry > 0 && Date.now() < deadline) {
      inTime();
      await pause(POLL_MS);
    }
  };

  /** Drains a queue whose parents are all stored by now: what was deferred before they were gets its chance. */
  const drainWithDeferred = async (queue: string): Promise<void> => {
    if (await someWait(queue)) await returnDeferred(queue);
    await drain(queue);
    if (!(await someWait(queue))) return;
    await returnDeferred(queue);
    await drain(queue);
  };

  const relay = async (queue: string, atMost = Number.POSITIVE_INFINITY): Promise<void> => {
    let after = 0;
    for (let relayed = 0; relayed < atMost; relayed += BATCH) {
      const commands = await outbox.commands(queue, {
        after,
        olderThan: Number.MAX_SAFE_INTEGER,
        count: BATCH,
      });
      const last = commands.at(-1);
      if (last === undefined) return;
      await publisher.publish(
        commands.map(({ commandId, command }) => ({ queue, content: command, messageId: String(commandId) })),
      );
      await drain(queue);
      after = last.commandId;
    }
  };

  const recoverApplications = async (): Promise<number> => {
    let raised = 0;
    for (let afterId = 0; ; ) {
      const rows = await applications.highestChatNumbers(afterId, BATCH);
      raised += await counters.raise(rows.map(({ token, highest }) => ({ token, count: highest })));
      await counters.forgetApplications(rows.map(({ token }) => token));
      const behind = rows.filter(({ highest, chatsCount }) => highest > chatsCount);
      await counters.markDirty(
        'applications',
        behind.map(({ token }) => ({ token })),
      );
      const last = rows.at(-1);
      if (last === undefined) return raised;
      inTime();
      afterId = last.id;
    }
  };
  const recoverChats = async (): Promise<number> => {
    let raised = 0;
    for (let afterId = 0; ; ) {
      const rows = await chats.highestMessageNumbers(afterId, BATCH);
      raised += await counters.raise(
        rows.map(({ token, chatNumber, highest }) => ({ token, chatNumber, count: highest })),
      );
      const behind = rows.filter(({ highest, messagesCount }) => highest > messagesCount);
      await counters.markDirty(
        'chats',
        behind.map(({ token, chatNumber }) => ({ token, chatNumber })),
      );
      const last = rows.at(-1);
      if (last === undefined) return raised;
      inTime();
      afterId = last.id;
    }
  };
  const deadOf = async <Schema extends z.ZodType>(
    queue: string,
    schema: Schema,
  ): Promise<z.output<Schema>[]> => {
    const { held, letters } = await deadLetters.list(queue, { limit: MAX_DEAD_LETTERS });
    if (held > letters.length) {
      log('Not all dead letters could be looked at: the numbers of the others are not kept', {
        queue,
        held,
        looked: letters.length,
      });
    }
    return letters.flatMap(({ content }) => {
      const { data } = schema.safeParse(parsed(content));
      return data === undefined ? [] : [data];
    });
  };
  /** Those whose parent has a counter: without one no number can have been given. */
  const withParent = async <Child>(
    children: Child[],
    parentOf: (child: Child) => { token: string; chatNumber?: number },
  ): Promise<Child[]> => {
    const counts = await counters.read(children.map(parentOf));
    return children.filter((_child, i) => counts[i] !== undefined);
  };
  /**
   * A command that was set aside keeps its number, and what it was to create keeps its counter: clients know of it, and
   * a redrive brings it back before its children, which have numbers already.
   */
  const reserveDeadLetters = async (): Promise<number> => {
    const applications = await deadOf('create-application', acceptedApplication);
    let raised = await counters.raise(applications.map(({ token }) => ({ token, count: 0 })));
    const chats = await withParent(await deadOf('create-chat', acceptedChat), ({ token }) => ({ token }));
    raised += await counters.raise(
      chats.flatMap(({ token, chatNumber }) => [
        { token, count: chatNumber },
        { token, chatNumber, count: 0 },
      ]),
    );
    await counters.markDirty(
      'applications',
      chats.map(({ token }) => ({ token })),
    );
    const messages = await withParent(
      await deadOf('create-message', acceptedMessage),
      ({ token, chatNumber }) => ({ token, chatNumber }),
    );
    raised += await counters.raise(
      messages.map(({ token, chatNumber, messageNumber }) => ({ token, chatNumber, count: messageNumber })),
    );
    await counters.markDirty('chats', messages);
    return raised;
  };

  let raised = 0;
  try {
    await publisher.declare();
    // A clock that was set back meanwhile must not prolong it.
    const graceMs = options.graceSeconds * 1000 - Math.max(0, gate.closedForMs);
    await pause(Math.max(0, Math.min(graceMs, remainingMs())));
    inTime();
    await drain('create-application');
    await relay('create-application');
    await drain('update-application');
    await relay('update-application');
    await drainWithDeferred('create-chat');
    await relay('create-chat');
    await drainWithDeferred('create-message');
    await relay('create-message', MAX_RELAYED);
    await drain('update-message');
    await relay('update-message', MAX_RELAYED);
    raised += await recoverApplications();
    raised += await recoverChats();
    raised += await reserveDeadLetters();
  } catch (error) {
    if (error instanceof OutOfTime) return { gate: 'closed', raised };
    throw error;
  }
  if ((await counters.openGate(gate.run)) === 'restarted') return { gate: 'closed', raised };
  log('The counters are recovered', { raised });
  return { gate: 'open', raised };
};

const parsed = (content: Buffer): unknown => {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    return undefined;
  }
};

export const handler = jobHandler(schema, recoverCounters, {
  counters,
  outbox,
  publisher,
  applications,
  chats,
  deadLetters,
});
