import { acceptedQueues } from '#lib/contracts/commands/all.ts';
import { createFirstGate } from '#lib/recovery/first-gate.ts';
import { createRecovery } from '#lib/recovery/recovery.ts';
import { revocationSeconds } from '#lib/redis/revocation/generations.ts';
import { lazy } from '../lazy.ts';
import { applications, chats, recoveryState, users } from './mysql.ts';
import { publisher } from './rabbitmq.ts';
import { gate, generations, outdatedWindows } from './redis.ts';

export const firstGate = /* @__PURE__ */ lazy(() =>
  createFirstGate({ gate: gate(), recoveryState: recoveryState() }),
);
export const recovery = /* @__PURE__ */ lazy(() =>
  createRecovery({
    gate: gate(),
    generations: generations(),
    users: users(),
    revocationSeconds,
    recoveryState: recoveryState(),
    publisher: publisher(),
    applications: applications(),
    chats: chats(),
    outdatedWindows: outdatedWindows(),
    queues: acceptedQueues,
  }),
);
