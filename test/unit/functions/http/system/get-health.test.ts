import { expect, it } from 'vitest';
import { getHealth } from '../../../../../functions/http/system/get-health.ts';

const works = { ping: async (): Promise<unknown> => undefined };
const fails = { ping: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:6379')) };
const uses = {
  database: works,
  publisher: works,
  counters: works,
  messageIndex: () => works,
  gate: { tryNumbering: async () => 'open' as const },
};

it('answers ok and names every part while all are up', async () => {
  expect(await getHealth({}, uses)).toEqual({
    status: 'ok',
    parts: { mysql: 'up', redis: 'up', rabbitmq: 'up', opensearch: 'up', numbering: 'up' },
  });
});

const unconfigured = () => {
  throw new Error('OPENSEARCH_URL is not set');
};
it.each([
  ['mysql', { database: fails }],
  ['redis', { counters: fails }],
  ['rabbitmq', { publisher: fails }],
  ['opensearch', { messageIndex: () => fails }],
  ['opensearch', { messageIndex: unconfigured }],
  ['numbering', { gate: { tryNumbering: async () => 'closed' as const } }],
  ['numbering', { gate: { tryNumbering: async () => 'ahead' as const } }],
  ['numbering', { gate: { tryNumbering: fails.ping } }],
])('answers unavailable and names %s alone, without the reason', async (part, broken) => {
  await expect(getHealth({}, { ...uses, ...broken })).rejects.toMatchObject({
    code: 'unavailable',
    message: `Down: ${part}.`,
    fields: [{ path: part, message: 'down' }],
  });
});

it('names every part that is down', async () => {
  await expect(getHealth({}, { ...uses, database: fails, counters: fails })).rejects.toMatchObject({
    fields: [{ path: 'mysql' }, { path: 'redis' }],
  });
});
