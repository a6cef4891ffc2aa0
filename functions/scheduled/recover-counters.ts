import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { Applications } from '../../lib/mysql/applications.ts';
import type { Chats } from '../../lib/mysql/chats.ts';
import type { Publisher } from '../../lib/rabbitmq/publisher.ts';
import { RETRY_DELAY_MS } from '../../lib/rabbitmq/topology.ts';
import type { Counters } from '../../lib/redis/counters.ts';
import { type Run, scheduledHandler } from '../../lib/runtime/scheduled-handler.ts';
import { applications, chats, counters, publisher } from '../../lib/runtime/services.ts';

type Uses = {
  counters: Pick<
    Counters,
    'gate' | 'openGate' | 'forgetClosing' | 'raise' | 'markDirty' | 'hasPassedBarrier'
  >;
  publisher: Pick<Publisher, 'publish'>;
  applications: Pick<Applications, 'highestChatNumbers'>;
  chats: Pick<Chats, 'highestMessageNumbers'>;
};

const BATCH = 1_000;
const POLL_MS = 100;

const schema = z.object({
  /** Longer than any function that numbers may run: by then nothing is published any more that Redis does not know. */
  graceSeconds: z.number().min(0).default(12),
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Opens the gate before numbering again after Redis came back without its state, or with an older one.
 *
 * Numbers that were given may still be on their way: in a handler that was accepted before the loss, and in the queues.
 * So this waits until no such handler runs (the grace), then until everything in the queues has reached MySQL (a
 * barrier goes through each queue behind all that is in it, parents first, with time between for what was deferred to
 * come back), and only then takes the highest numbers from MySQL. A counter is raised, never lowered: what an older
 * state still holds in its outbox is relayed later, under the numbers it has.
 */
export const recoverCounters = async (
  { options, remainingMs, log }: Run<z.output<typeof schema>>,
  { counters, publisher, applications, chats }: Uses,
): Promise<{ gate: 'open' | 'closed'; raised?: number }> => {
  const gate = await counters.gate();
  if (gate.open) return { gate: 'open' };
  log('The counters are being recovered', { closedForMs: Math.round(gate.closedForMs) });
  await pause(Math.max(0, Math.min(options.graceSeconds * 1000 - gate.closedForMs, remainingMs())));

  const drained = async (queue: string): Promise<boolean> => {
    const id = randomUUID();
    await publisher.publish([{ queue, content: JSON.stringify({ barrier: id }) }]);
    while (remainingMs() > 0) {
      if (await counters.hasPassedBarrier(id)) return true;
      await pause(POLL_MS);
    }
    return false;
  };
  for (const queue of ['create-application', 'create-chat', 'create-message']) {
    if (!(await drained(queue))) return { gate: 'closed' };
    if (queue !== 'create-message') await pause(2 * RETRY_DELAY_MS);
  }

  let raised = 0;
  for (let afterId = 0; ; ) {
    const rows = await applications.highestChatNumbers(afterId, BATCH);
    raised += await counters.raise(rows.map(({ token, highest }) => ({ token, count: highest })));
    const behind = rows.filter(({ highest, chatsCount }) => highest > chatsCount);
    await counters.markDirty(
      'applications',
      behind.map(({ token }) => ({ token })),
    );
    const last = rows.at(-1);
    if (last === undefined) break;
    if (remainingMs() <= 0) return { gate: 'closed', raised };
    afterId = last.id;
  }
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
    if (last === undefined) break;
    if (remainingMs() <= 0) return { gate: 'closed', raised };
    afterId = last.id;
  }

  if ((await counters.openGate(gate.run)) === 'restarted') {
    await counters.forgetClosing();
    return { gate: 'closed', raised };
  }
  log('The counters are recovered', { raised });
  return { gate: 'open', raised };
};

export const handler = scheduledHandler(schema, recoverCounters, {
  counters,
  publisher,
  applications,
  chats,
});
