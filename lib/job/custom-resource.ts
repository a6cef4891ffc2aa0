import type { Context } from 'aws-lambda';
import * as z from 'zod';
import { within } from '#lib/concurrency/within.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { logger } from '#lib/runtime/logger.ts';

/** `Deployment`: the time of a deploy in ISO 8601, so that later ones compare as greater. */
const propertiesSchema = z.object({ Deployment: z.string() }).optional().catch(undefined);

/**
 * The event of CloudFormation.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
 */
const requestSchema = z.object({
  RequestType: z.enum(['Create', 'Update', 'Delete']),
  ResponseURL: z.url(),
  StackId: z.string(),
  RequestId: z.string(),
  LogicalResourceId: z.string(),
  ResourceProperties: propertiesSchema,
  OldResourceProperties: propertiesSchema,
});
type CustomResourceRequest = z.output<typeof requestSchema>;
type Outcome = { Status: 'SUCCESS' } | { Status: 'FAILED'; Reason: string };

/** Reserved at the end of the function's time, so that CloudFormation gets an answer before the time-out. */
const ANSWER_MS = 15_000;
const ANSWER_TRIES = 4;
/** CloudFormation accepts answers of up to 4,096 bytes. */
const MAX_REASON_LENGTH = 1_000;

const answer = async (request: CustomResourceRequest, outcome: Outcome): Promise<void> => {
  const { StackId, RequestId, LogicalResourceId } = request;
  const body = new TextEncoder().encode(
    JSON.stringify({
      ...outcome,
      StackId,
      RequestId,
      LogicalResourceId,
      PhysicalResourceId: LogicalResourceId,
    }),
  );
  for (let tries = 1; ; tries += 1) {
    try {
      // The URL is signed without a Content-Type, so the body is sent as bytes.
      const response = await fetch(request.ResponseURL, {
        method: 'PUT',
        body,
        signal: AbortSignal.timeout(ANSWER_MS / ANSWER_TRIES),
      });
      if (response.ok) return;
      throw new Error(`S3 answered ${response.status}`);
    } catch (error) {
      if (tries === ANSWER_TRIES) throw error;
    }
  }
};

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause !== undefined ? ` (${describeError(error.cause)})` : '';
  return `${describeError(error)}${cause}`.slice(0, MAX_REASON_LENGTH);
};

const outcomeWithin = async (timeoutMs: number, work: () => Promise<unknown>): Promise<Outcome> => {
  try {
    await within(Math.max(0, timeoutMs), work(), () => new Error('The function ran out of time.'));
    return { Status: 'SUCCESS' };
  } catch (error) {
    logger.error('The custom resource failed', { code: 'custom-resource-failed', error });
    return { Status: 'FAILED', Reason: reasonOf(error) };
  }
};

/** CloudFormation goes back to the properties of an earlier deploy: an update failed, or `sls rollback` runs. */
const isRollback = ({ ResourceProperties, OldResourceProperties }: CustomResourceRequest): boolean => {
  const [before, after] = [OldResourceProperties?.Deployment, ResourceProperties?.Deployment];
  return before !== undefined && after !== undefined && after < before;
};

/** A rollback must succeed while a server is down. Newer tables, queues and indexes serve the earlier version as well. */
const forgive = (outcome: Outcome): Outcome => {
  if (outcome.Status === 'SUCCESS') return outcome;
  logger.warn('The failure does not stop the rollback', {
    code: 'custom-resource-rollback',
    reason: outcome.Reason,
  });
  return { Status: 'SUCCESS' };
};

const outcomeOf = async (
  request: CustomResourceRequest,
  context: Context,
  operation: () => Promise<unknown>,
): Promise<Outcome> => {
  if (request.RequestType === 'Delete') return { Status: 'SUCCESS' };
  const outcome = await outcomeWithin(context.getRemainingTimeInMillis() - ANSWER_MS, operation);
  return isRollback(request) ? forgive(outcome) : outcome;
};

/**
 * Lets CloudFormation call an operation as a custom resource. The operation runs when the resource is created or updated,
 * not when it is deleted. Its failure fails a deploy, but not a rollback. CloudFormation always gets an answer, even if the
 * operation throws or takes too long. Other events reach the operation unchanged.
 */
export const asCustomResource =
  <Report>(operation: (event: unknown, context: Context) => Promise<Report>) =>
  async (event: unknown, context: Context): Promise<Report | Outcome> => {
    const { data: request } = requestSchema.safeParse(event);
    if (request === undefined) return operation(event, context);
    const outcome = await outcomeOf(request, context, () => operation({}, context));
    await answer(request, outcome);
    return outcome;
  };
