import type { TestProject } from 'vitest/node';
import { removeAbandonedStacks, startServices, terminalReport } from '../../local/services/index.ts';
import { startRedisCluster } from './redis-nodes.ts';

/** For a vitest project: the usual MySQL, and a clustered Redis, whose keys need a prefix with a hash tag. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandonedStacks('test-');
  const { REDIS_URL, ...environment } = process.env;
  const stack = await startServices({
    stack: `test-${process.pid}-redis-cluster`,
    environment,
    report: terminalReport(process.stderr),
    fresh: true,
    only: ['mysql'],
  });
  const cluster = await startRedisCluster('cluster').catch(async (error) => {
    await stack.stop();
    throw error;
  });
  project.provide('urls', { ...stack.urls, REDIS_URL: cluster.servers[0].url });
  project.provide('names', { keyPrefix: '{chat}:', indexPrefix: '' });
  return async () => {
    await Promise.all([cluster.stop(), stack.stop()]);
  };
}
