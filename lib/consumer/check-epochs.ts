import type { QueueEpochs } from '#lib/mysql/progress.ts';
import { logger } from '#lib/runtime/logger.ts';
import { type Barrier, type Batch, type Malformed, malformedBy, type Received } from './read-batch.ts';

/** The commands, barriers and malformed messages of one part of a batch. */
export type Checked<Command> = {
  received: Received<Command>[];
  barriers: Barrier[];
  malformed: Malformed[];
};

const epochOf = (command: object): number | undefined =>
  'epoch' in command && typeof command.epoch === 'number' ? command.epoch : undefined;

const unknownEpoch = 'epoch: MySQL has not begun it';

/** @param passedBefore the newest barrier that the queue has passed @returns also the newest one behind the items */
const split = <Command extends object>(
  { items, malformed }: Batch<Command>,
  { passed: passedBefore, newest }: QueueEpochs,
) => {
  let passed = passedBefore;
  let stragglers = 0;
  const checked: Checked<Command> = { received: [], barriers: [], malformed: [...malformed] };
  for (const item of items) {
    const epoch = item.kind === 'barrier' ? item.barrier.epoch : epochOf(item.received.command);
    const { delivery } = item.kind === 'barrier' ? item : item.received;
    if (epoch !== undefined && epoch > newest) {
      checked.malformed.push(malformedBy(delivery, unknownEpoch));
    } else if (item.kind === 'barrier') {
      passed = Math.max(passed, item.barrier.epoch);
      checked.barriers.push(item.barrier);
    } else if (delivery.isFirst && epoch !== undefined && epoch < passed) stragglers += 1;
    else checked.received.push(item.received);
  }
  return { checked, stragglers, passed };
};

/**
 * Returns a function that checks one part of a batch after another. A message with an epoch that MySQL has not begun is
 * malformed: no recovery sent it, and no gate was open in it. Stragglers are dropped: first deliveries from an epoch
 * before a barrier that the queue has already passed. See docs/design.md, "The gate".
 * @param readEpochs reads the epochs that MySQL knows for this queue
 */
export const createEpochCheck = (queue: string, readEpochs: () => Promise<QueueEpochs>) => {
  let known: QueueEpochs | undefined;
  return async <Command extends object>(batch: Batch<Command>): Promise<Checked<Command>> => {
    // Commands without an epoch need no query, so the index does not depend on MySQL.
    const hasEpochs = batch.items.some(
      (item) => item.kind === 'barrier' || epochOf(item.received.command) !== undefined,
    );
    if (hasEpochs) known ??= await readEpochs();
    const found = split(batch, known ?? { passed: 0, newest: 0 });
    if (known !== undefined) known = { ...known, passed: found.passed };
    if (found.stragglers > 0) {
      logger.warn('Commands of an earlier epoch were dropped; the relay publishes accepted ones again', {
        code: 'stragglers-dropped',
        queue,
        count: found.stragglers,
      });
    }
    return found.checked;
  };
};
