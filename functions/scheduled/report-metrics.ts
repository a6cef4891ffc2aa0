import * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { type Metric, metricsLine } from '#lib/domain/metrics.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import { metricsNamespace, now } from '#lib/runtime/services/settings.ts';
import { systemStatus } from '#lib/runtime/services/upkeep.ts';
import type { SystemStatus, SystemStatusReader } from '#lib/upkeep/system-status.ts';

type Uses = {
  systemStatus: SystemStatusReader;
  metricsNamespace: string;
  now: () => number;
  write: (line: string) => void;
};

const metricsOf = ({
  oldestCommandSeconds,
  indexLagSeconds,
  gate,
  queues,
  signals,
}: SystemStatus): Metric[] => [
  ...(signals === undefined ? [] : [{ name: 'WaitingSignals', unit: 'Count' as const, value: signals }]),
  ...(oldestCommandSeconds === undefined
    ? []
    : [{ name: 'OldestCommand', unit: 'Seconds' as const, value: oldestCommandSeconds }]),
  ...(indexLagSeconds === undefined
    ? []
    : [{ name: 'IndexLag', unit: 'Seconds' as const, value: indexLagSeconds }]),
  ...(gate === undefined
    ? []
    : [{ name: 'GateClosed', unit: 'None' as const, value: gate === 'open' ? 0 : 1 }]),
  ...(queues === undefined
    ? []
    : [
        {
          name: 'AllDeadLetters',
          unit: 'Count' as const,
          value: queues.reduce((sum, { dead }) => sum + dead, 0),
        },
        {
          name: 'MostWaiting',
          unit: 'Count' as const,
          value: Math.max(0, ...queues.map(({ ready }) => ready)),
        },
      ]),
];

/**
 * Writes the metrics of the alarms. Alarms treat a metric that could not be read, and is missing, as
 * breaching.
 */
export const reportMetrics = async (
  { log }: Pick<Job, 'log'>,
  { systemStatus, metricsNamespace, now, write }: Uses,
): Promise<SystemStatus> => {
  const status = await systemStatus.read();
  const unknown = Object.entries(status).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (unknown.length > 0) log('Numbers that cannot be read', { code: 'metrics-unknown', unknown });
  const metrics = metricsOf(status);
  if (metrics.length > 0) write(metricsLine(metricsNamespace, now(), {}, metrics));
  for (const { queue, ready, retry, dead } of status.queues ?? []) {
    write(
      metricsLine(metricsNamespace, now(), { Queue: queue }, [
        { name: 'Waiting', unit: 'Count', value: ready },
        { name: 'Deferred', unit: 'Count', value: retry },
        { name: 'DeadLetters', unit: 'Count', value: dead },
      ]),
    );
  }
  return status;
};

export const handler = jobHandler(
  z.object({}),
  reportMetrics,
  {
    systemStatus,
    metricsNamespace,
    now,
    write: () => (line: string) => {
      process.stdout.write(`${line}\n`);
    },
  },
  { logReport: false },
);
