import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';

type QueueStatus = { queue: string; ready: number; retry: number; dead: number };
/** The load of the pipeline. A number is undefined while its server does not answer. */
export type SystemStatus = {
  queues: QueueStatus[] | undefined;
  /** Signals that wait for connections. */
  signals: number | undefined;
  /** Age of the oldest accepted command that MySQL does not have, in seconds; 0 when it has all of them. */
  oldestCommandSeconds: number | undefined;
  /** Age of the oldest stored message that the index does not have, in seconds; 0 when it has all of them. */
  indexLagSeconds: number | undefined;
  gate: 'open' | 'closed' | undefined;
};

type Uses = {
  publisher: Pick<Publisher, 'depth' | 'waitingSignals'>;
  outbox: Pick<Outbox, 'commands' | 'unindexed'>;
  gate: Pick<Gate, 'status'>;
  /** The queues that have an outbox. */
  commandQueues: readonly string[];
  /** All queues. */
  queues: readonly string[];
  now: () => number;
};

/** No lower bound: the oldest entry, even if it is young. */
const OLDEST = { after: 0, olderThan: Number.MAX_SAFE_INTEGER, count: 1 };

/** @returns its result, or undefined when it fails */
const orUndefined = async <Result>(work: () => Promise<Result>): Promise<Result | undefined> => {
  try {
    return await work();
  } catch {
    return undefined;
  }
};

export const createSystemStatus = ({ publisher, outbox, gate, commandQueues, queues, now }: Uses) => {
  /** @param id an instant in microseconds, as command ids and versions are */
  const ageSeconds = (id: number | undefined): number =>
    id === undefined ? 0 : Math.max(0, Math.round(now() / 1_000 - id / 1_000_000));

  const oldestCommand = async (): Promise<number> => {
    const found = await Promise.all(commandQueues.map((queue) => outbox.commands(queue, OLDEST)));
    const ids = found.flatMap(([oldest]) => (oldest === undefined ? [] : [oldest.commandId]));
    return ageSeconds(ids.length === 0 ? undefined : Math.min(...ids));
  };

  return {
    /** Reads all numbers. Never throws: a part whose server does not answer is undefined. */
    read: async (): Promise<SystemStatus> => {
      const [depths, signals, oldestCommandSeconds, indexLagSeconds, gateState] = await Promise.all([
        orUndefined(() =>
          Promise.all(queues.map(async (queue) => ({ queue, ...(await publisher.depth(queue)) }))),
        ),
        orUndefined(() => publisher.waitingSignals()),
        orUndefined(oldestCommand),
        orUndefined(async () => ageSeconds((await outbox.unindexed(OLDEST))[0]?.version)),
        orUndefined(async () => ((await gate.status()).isOpen ? ('open' as const) : ('closed' as const))),
      ]);
      return { queues: depths, signals, oldestCommandSeconds, indexLagSeconds, gate: gateState };
    },
  };
};

export type SystemStatusReader = ReturnType<typeof createSystemStatus>;
