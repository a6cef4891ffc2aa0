import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { logClientError, logger } from '#lib/runtime/logger.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const logged = () => {
  const warn = vi.spyOn(logger, 'warn').mockImplementation(() => undefined);
  return () => warn.mock.calls.map(([, facts]) => (facts as { reason: string }).reason);
};

test('a server that is down is said once a minute, however often a client tries', () => {
  const reasons = logged();
  const onError = logClientError('Redis');
  for (let second = 0; second < 59; second += 1) {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      onError(
        Object.assign(new Error(`connect ECONNREFUSED 127.0.0.1:${7_000 + attempt}`), {
          code: 'ECONNREFUSED',
        }),
      );
    }
    vi.advanceTimersByTime(1_000);
  }
  expect(reasons()).toHaveLength(1);
  vi.advanceTimersByTime(2_000);
  onError(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:7000'), { code: 'ECONNREFUSED' }));
  expect(reasons()).toHaveLength(2);
});

test('logs other errors of that minute too, and the causes of an error', () => {
  const reasons = logged();
  const onError = logClientError('RabbitMQ publish');
  const messages = [
    'RabbitMQ did not answer in 998 ms',
    'RabbitMQ did not answer in 1000 ms',
    'RabbitMQ blocks publishers: low on memory',
    'RabbitMQ has no queue create-chat',
  ];
  for (const message of messages)
    onError(unavailable('The message broker does not answer.', new Error(message)));
  expect(reasons()).toEqual([messages[0], messages[2], messages[3]]);
});
