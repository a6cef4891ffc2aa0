import { createSignals } from '#lib/live/signals.ts';
import { lazy } from '../lazy.ts';
import { publisher } from './rabbitmq.ts';
import { noteClientError } from './servers.ts';

export const signals = /* @__PURE__ */ lazy(() =>
  createSignals({
    publisher: publisher(),
    onUnpublished: (queue, error) =>
      noteClientError('RabbitMQ publish')(
        error instanceof Error ? error : new Error(`${queue}: ${String(error)}`),
      ),
  }),
);
