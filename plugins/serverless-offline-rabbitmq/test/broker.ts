import type { TestProject } from 'vitest/node';
import { removeAbandonedStacks, startServices, terminalReport } from '../../../local/services/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A RabbitMQ for the tests of this package, with a virtual host of their own. */
    brokerUrl: string;
  }
}

/** Starts a RabbitMQ for the tests; one that `RABBITMQ_URL` names is used instead. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { RABBITMQ_URL: given = '', MYSQL_URL, REDIS_URL, OPENSEARCH_URL, ...environment } = process.env;
  if (given !== '') {
    project.provide('brokerUrl', given);
    return async () => {};
  }
  await removeAbandonedStacks('test-');
  const stack = await startServices({
    stack: `test-${process.pid}-${project.name}`,
    environment,
    report: terminalReport(process.stderr),
    fresh: true,
    only: ['rabbitmq'],
  });
  project.provide('brokerUrl', stack.urls.RABBITMQ_URL);
  return () => stack.stop();
}
