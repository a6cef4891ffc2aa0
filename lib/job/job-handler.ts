import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import type * as z from 'zod';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logger } from '#lib/runtime/logger.ts';
import { bePatient } from '#lib/runtime/services.ts';

export type Run<Options> = {
  options: Options;
  /** Milliseconds until the function must have returned, less a margin in which to finish what was begun. */
  remainingMs: () => number;
  log: (message: string, facts?: Record<string, unknown>) => void;
};

const MARGIN_MS = 2_000;

/**
 * Makes a Lambda handler of a function that runs by a schedule or by hand, with options in its event; what a schedule
 * puts into the event besides is passed over. Gives what the function gives: its report.
 */
export const jobHandler = <Schema extends z.ZodType, Uses extends object, Report extends object>(
  options: Schema,
  run: (context: Run<z.output<Schema>>, uses: Uses) => Promise<Report>,
  providers: Providers<Uses>,
  /** Without it, what the function did is logged: not for a report that holds what users wrote. */
  { logReport = true }: { logReport?: boolean } = {},
) => {
  bePatient();
  return middy<unknown, Report, Error, Context>({ timeoutEarlyInMillis: 0 }).handler(
    async (event, context) => {
      logger.resetKeys();
      logger.appendKeys({ function: context.functionName, requestId: context.awsRequestId });
      const report = await run(
        {
          options: options.parse(event ?? {}),
          remainingMs: () => context.getRemainingTimeInMillis() - MARGIN_MS,
          log: (message, facts) => logger.info(message, facts ?? {}),
        },
        provide<Uses>(providers),
      );
      if (
        logReport &&
        Object.values(report).some((value) => value !== 0 && value !== false && value !== 'open')
      )
        logger.info('Done', { report });
      return report;
    },
  );
};
