import { createFindStored } from '#lib/writing/find-stored.ts';
import { createIndexing } from '#lib/writing/hand-on.ts';
import { createRecoveryRequest } from '#lib/writing/request-recovery.ts';
import { createRevoke } from '#lib/writing/revoke.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { lazy } from '../lazy.ts';
import { applications, messages, recoveryState } from './mysql.ts';
import { publisher } from './rabbitmq.ts';
import { accepts, gate, generations } from './redis.ts';
import { noteClientError } from './servers.ts';

export const submit = /* @__PURE__ */ lazy(() => {
  const onUnpublished = (queue: string, error: unknown) =>
    noteClientError('RabbitMQ publish')(
      error instanceof Error ? error : new Error(`${queue}: ${String(error)}`),
    );
  return createSubmit({
    accepts: accepts(),
    publisher: publisher(),
    gate: gate(),
    numbers: recoveryState(),
    findStored: createFindStored({ applications: applications(), messages: messages() }),
    askForRecovery: createRecoveryRequest({ gate: gate(), publisher: publisher(), onUnpublished }),
    onUnpublished,
  });
});
export const indexing = /* @__PURE__ */ lazy(() => createIndexing({ publisher: publisher() }));
export const revoke = /* @__PURE__ */ lazy(() => createRevoke({ generations: generations() }));
