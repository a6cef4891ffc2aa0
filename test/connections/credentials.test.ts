import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBroker } from '#lib/rabbitmq/connection.ts';
import { probe, type Stack, silentReport, startServices } from '../../local/services/index.ts';
import { createBroker } from '../../plugins/serverless-offline-rabbitmq/src/broker.ts';
import { rabbitmqctl } from '../support/rabbitmqctl.ts';
import { eventually } from '../support/servers.ts';

/*
 * Users and passwords of a URL are percent-encoded UTF-8, for each of the programs that read the URL.
 */

let stack: Stack;

beforeAll(async () => {
  const { RABBITMQ_URL, ...environment } = process.env;
  stack = await startServices({
    stack: `test-${process.pid}-credentials`,
    environment,
    report: silentReport,
    fresh: true,
    only: ['rabbitmq'],
  });
});
afterAll(() => stack?.stop());

/** The URL of a new user of the broker. */
const urlOf = async (user: string, password: string): Promise<string> => {
  await eventually(() => rabbitmqctl(stack, 'add_user', '--', user, password));
  await rabbitmqctl(stack, 'set_permissions', '-p', 'chat', user, '.*', '.*', '.*');
  const { host } = new URL(stack.urls.RABBITMQ_URL);
  return `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}/chat`;
};

describe.each([
  ['jürgen', 'grüße'],
  ['Ωmega', '日本語 👋'],
  ['a@b/c:d', '100%?#&=+ '],
])('the user %j of RabbitMQ', (user, password) => {
  it('signs in by URL: from the start command, from functions, and from event sources', {
    timeout: 60_000,
  }, async () => {
    const url = await urlOf(user, password);
    expect(await probe('rabbitmq', url)).toMatch(/^RabbitMQ /);

    const ours = openBroker(url, { timeoutMs: 10_000, onError: () => undefined });
    await ours.withChannel((channel) => channel.assertQueue('mark'));
    await ours.close();

    const log = { notice: () => undefined, warning: () => undefined, error: () => undefined };
    const plugins = createBroker({ url: new URL(url), virtualHost: 'chat', connectionName: 'test', log });
    // A refused one tries again without end.
    await plugins.connection();
    await plugins.close();
  });
});
