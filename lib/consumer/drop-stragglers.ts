import { logger } from '#lib/runtime/logger.ts';
import type { Item, Received } from './read-batch.ts';

const epochOf = (command: object): number | undefined =>
  'epoch' in command && typeof command.epoch === 'number' ? command.epoch : undefined;

/** @returns the other commands, and the newest barrier that the queue has passed behind the items */
const split = <Command extends object>(items: readonly Item<Command>[], passedBefore: number) => {
  let passed = passedBefore;
  let stragglers = 0;
  const commands: Received<Command>[] = [];
  for (const item of items) {
    if (item.kind === 'barrier') passed = Math.max(passed, item.barrier.epoch);
    else if (item.command.delivery.isFirst && (epochOf(item.command) ?? passed) < passed) stragglers += 1;
    else commands.push(item.command);
  }
  return { commands, stragglers, passed };
};

/**
 * Returns a function that drops stragglers from one part of a batch after another: first deliveries from an epoch before
 * a barrier that the queue has already passed. See docs/design.md, "The gate".
 * @param passedEpoch reads the newest barrier that the queue passed with earlier batches
 */
export const createStragglerFilter = (queue: string, passedEpoch: () => Promise<number>) => {
  let passedEarlier: number | undefined;
  let passed = 0;
  return async <Command extends object>(items: readonly Item<Command>[]): Promise<Received<Command>[]> => {
    // Commands without an epoch need no query, so the index does not depend on MySQL.
    if (items.some((item) => item.kind === 'command' && epochOf(item.command) !== undefined)) {
      passedEarlier ??= await passedEpoch();
      passed = Math.max(passed, passedEarlier);
    }
    const found = split(items, passed);
    passed = found.passed;
    if (found.stragglers > 0) {
      logger.warn('Commands of an earlier epoch were dropped; the relay publishes accepted ones again', {
        code: 'stragglers-dropped',
        queue,
        count: found.stragglers,
      });
    }
    return found.commands;
  };
};
