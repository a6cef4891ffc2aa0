import { createIndexing } from '#lib/writing/hand-on.ts';
import { createRecoveryRequest } from '#lib/writing/request-recovery.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { lazy } from '../lazy.ts';
import { recoveryState } from './mysql.ts';
import { publisher } from './rabbitmq.ts';
import { accept, gate } from './redis.ts';
import { noteClientError } from './servers.ts';
import { now } from './settings.ts';

export const submit = /* @__PURE__ */ lazy(() => {
  const onUnpublished = (queue: string, error: unknown) =>
    noteClientError('RabbitMQ publish')(
      error instanceof Error ? error : new Error(`${queue}: ${String(error)}`),
    );
  return createSubmit({
    accept: accept(),
    publisher: publisher(),
    gate: gate(),
    numbers: recoveryState(),
    askForRecovery: createRecoveryRequest({ gate: gate(), publisher: publisher(), onUnpublished }),
    onUnpublished,
    now: now(),
  });
});
export const indexing = /* @__PURE__ */ lazy(() => createIndexing({ publisher: publisher() }));
