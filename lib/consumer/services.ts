import type { LetterNotes } from '#lib/mysql/letter-notes.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import type { Providers } from '#lib/runtime/lazy.ts';

/** The services of the steps that all consumer functions share. */
export type ConsumerServices = Providers<{
  recoveryState: Pick<
    RecoveryState,
    'epochs' | 'passBarrier' | 'record' | 'highestChatNumber' | 'highestMessageNumber'
  >;
  counters: Pick<Counters, 'read'>;
  gate: Pick<Gate, 'raiseClock'>;
  letterNotes: LetterNotes;
  publisher: Pick<Publisher, 'publish'>;
  outbox: Pick<Outbox, 'forget'>;
}> & { maxDeferrals: () => number };
