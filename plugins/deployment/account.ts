import { CreateServiceLinkedRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';

/** Lambda keeps this concurrency for functions without a reservation. */
const UNRESERVED = 100;

/**
 * @param reserved the sum of all functions' reserved concurrency
 * @returns the reason why the account has no room for the functions; undefined if it has
 */
export const checkQuota = async (config: object, reserved: number): Promise<string | undefined> => {
  const { AccountLimit } = await new LambdaClient(config).send(new GetAccountSettingsCommand({}));
  const limit = AccountLimit?.ConcurrentExecutions ?? 0;
  const needed = reserved + UNRESERVED;
  if (limit >= needed) return undefined;
  return [
    `This account runs ${limit} functions at once, and this stage needs ${needed}: ${reserved} are reserved, and Lambda keeps ${UNRESERVED} for other functions.`,
    `Raise the quota "Concurrent executions" of AWS Lambda (L-B99A9384) in this region, and deploy again. Nothing was created.`,
    `aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value ${Math.max(1_000, needed)}`,
  ].join('\n');
};

/** A search domain in a VPC needs a service-linked role, once in an account. Other services create theirs themselves. */
export const createServiceLinkedRoles = async (config: object): Promise<void> => {
  try {
    await new IAMClient(config).send(
      new CreateServiceLinkedRoleCommand({ AWSServiceName: 'opensearchservice.amazonaws.com' }),
    );
  } catch (error) {
    // It exists.
    if (!(error instanceof Error) || error.name !== 'InvalidInputException') throw error;
  }
};
