import { createEraseAtOnce } from '#lib/writing/erase-at-once.ts';
import { createFindStored } from '#lib/writing/find-stored.ts';
import { createIndexing } from '#lib/writing/hand-on.ts';
import { createMarkRead } from '#lib/writing/mark-read.ts';
import { createRecoveryRequest } from '#lib/writing/request-recovery.ts';
import { createRevoke } from '#lib/writing/revoke.ts';
import { createSettling } from '#lib/writing/settling.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { createVerifyCounters } from '#lib/writing/verify-counters.ts';
import { lazy } from '../lazy.ts';
import { applications, changes, chats, messages, recoveryState } from './mysql.ts';
import { publisher } from './rabbitmq.ts';
import { unread } from './reading.ts';
import { accepts, gate, generations, markers, pendingChanges, settlesInRedis } from './redis.ts';
import { noteClientError } from './servers.ts';
import { signals } from './signals.ts';

const onUnpublished = (queue: string, error: unknown) =>
  noteClientError('RabbitMQ publish')(
    error instanceof Error ? error : new Error(`${queue}: ${String(error)}`),
  );
export const askForRecovery = /* @__PURE__ */ lazy(() =>
  createRecoveryRequest({ gate: gate(), publisher: publisher(), onUnpublished }),
);
export const submit = /* @__PURE__ */ lazy(() =>
  createSubmit({
    accepts: accepts(),
    publisher: publisher(),
    gate: gate(),
    numbers: recoveryState(),
    findStored: createFindStored({ applications: applications(), chats: chats(), messages: messages() }),
    eraseAtOnce: createEraseAtOnce({
      applications: applications(),
      chats: chats(),
      messages: messages(),
      onFailure: noteClientError('MySQL'),
    }),
    askForRecovery: askForRecovery(),
    onUnpublished,
  }),
);
export const markRead = /* @__PURE__ */ lazy(() =>
  createMarkRead({
    markers: markers(),
    unread: unread(),
    verifyCounters: createVerifyCounters({ gate: gate(), numbers: recoveryState() }),
    askForRecovery: askForRecovery(),
  }),
);
export const settles = /* @__PURE__ */ lazy(() =>
  createSettling({ settles: settlesInRedis(), changes: changes(), pendingChanges: pendingChanges() }),
);
export const indexing = /* @__PURE__ */ lazy(() => createIndexing({ publisher: publisher() }));
export const revoke = /* @__PURE__ */ lazy(() =>
  createRevoke({
    generations: generations(),
    closeConnections: (ids) => signals().close(ids, 'signed-out'),
    askForRecovery: askForRecovery(),
  }),
);
