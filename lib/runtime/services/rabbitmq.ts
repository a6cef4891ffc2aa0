import { queueNames } from '#lib/contracts/commands/all.ts';
import { createDeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import { createPublisher } from '#lib/rabbitmq/publisher.ts';
import { lazy } from '../lazy.ts';
import { broker } from './servers.ts';

export const publisher = /* @__PURE__ */ lazy(() => createPublisher(broker(), queueNames));
export const deadLetters = /* @__PURE__ */ lazy(() => createDeadLetters(broker(), publisher()));
