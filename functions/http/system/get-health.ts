import { acceptedQueues } from '#lib/contracts/commands/all.ts';
import { getHealth as contract } from '#lib/contracts/http/system.ts';
import { KnownError } from '#lib/domain/errors.ts';
import type { Request } from '#lib/http/handler.ts';
import { publicHandler } from '#lib/http/public-handler.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import { messageIndex } from '#lib/runtime/services/opensearch.ts';
import { publisher } from '#lib/runtime/services/rabbitmq.ts';
import { counters, gate } from '#lib/runtime/services/redis.ts';
import { database } from '#lib/runtime/services/servers.ts';

type Pinged = { ping: () => Promise<unknown> };
type Uses = {
  database: Pinged;
  publisher: Pinged;
  messageIndex: () => Pinged;
  counters: Pinged;
  gate: Pick<Gate, 'tryNumbering'>;
};

export const getHealth = async (
  _request: Pick<Request<typeof contract>, never>,
  { database, publisher, messageIndex, counters, gate }: Uses,
) => {
  const ask = async (call: () => Promise<unknown>): Promise<'up' | 'down'> => {
    try {
      return (await call()) === false ? 'down' : 'up';
    } catch {
      return 'down';
    }
  };
  const [mysql, redis, rabbitmq, opensearch, numbering] = await Promise.all([
    ask(() => database.ping()),
    ask(() => counters.ping()),
    ask(() => publisher.ping()),
    ask(async () => messageIndex().ping()),
    ask(async () => (await gate.tryNumbering(acceptedQueues)) === 'open'),
  ]);
  const down = Object.entries({ mysql, redis, rabbitmq, opensearch, numbering }).filter(
    ([, state]) => state === 'down',
  );
  if (down.length > 0) {
    throw new KnownError('unavailable', `Down: ${down.map(([part]) => part).join(', ')}.`, {
      retryAfterSeconds: 5,
      fields: down.map(([path, message]) => ({ path, message })),
    });
  }
  const up = 'up' as const;
  return {
    status: 'ok' as const,
    parts: { mysql: up, redis: up, rabbitmq: up, opensearch: up, numbering: up },
  };
};

export const handler = publicHandler(contract, getHealth, {
  database,
  publisher,
  // Created inside the check, so that a missing search configuration shows as `down` instead of an error.
  messageIndex: () => messageIndex,
  counters,
  gate,
});
