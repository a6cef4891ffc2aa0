import type { Context } from 'aws-lambda';
import type * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logger } from '#lib/runtime/logger.ts';
import { prepareForJob } from '#lib/runtime/services/servers.ts';

export type JobContext<Options> = Job & { options: Options };

const MARGIN_MS = 2_000;

/** False for a report of zeros only, which is not logged. */
const isWorthALine = (report: object): boolean =>
  Object.values(report).some((value) => value !== 0 && value !== false && value !== 'open');

/**
 * Creates a Lambda handler for a scheduled function or an operation. The event contains its options; fields
 * that a schedule adds are ignored. The handler returns the function's report.
 * @param logReport false for a report that contains text of users
 */
export const jobHandler = <Schema extends z.ZodType, Uses extends object, Report extends object>(
  options: Schema,
  work: (context: JobContext<z.output<Schema>>, uses: Uses) => Promise<Report>,
  providers: Providers<Uses>,
  { logReport = true }: { logReport?: boolean } = {},
) => {
  const handle = async (event: unknown, context: Context): Promise<Report> => {
    await prepareForJob();
    const report = await work(
      {
        options: options.parse(event ?? {}),
        remainingMs: () => context.getRemainingTimeInMillis() - MARGIN_MS,
        log: (message, facts) => logger.info(message, facts),
      },
      provide<Uses>(providers),
    );
    if (logReport && isWorthALine(report)) logger.info('Done', { code: 'job-done', report });
    return report;
  };
  return (event: unknown, context: Context): Promise<Report> =>
    logContext.run({ function: context.functionName, requestId: context.awsRequestId }, () =>
      handle(event, context),
    );
};
