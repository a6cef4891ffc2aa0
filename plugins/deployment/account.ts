import {
  CloudFormationClient,
  DescribeStacksCommand,
  GetTemplateCommand,
} from '@aws-sdk/client-cloudformation';
import { CreateServiceLinkedRoleCommand, GetRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ofType, type Resources } from './template.ts';

/** Lambda keeps this concurrency for functions without a reservation. */
const UNRESERVED = 100;

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** @returns the value of a stack's output; undefined if it has none of this name */
export const findOutput = async (
  config: object,
  stackName: string,
  name: string,
): Promise<string | undefined> => {
  const { Stacks = [] } = await new CloudFormationClient(config).send(
    new DescribeStacksCommand({ StackName: stackName }),
  );
  return Stacks[0]?.Outputs?.find(({ OutputKey }) => OutputKey === name)?.OutputValue;
};

/** The concurrency that the stack's functions have now; 0 for a new stack. */
const reservedBy = async (config: object, stackName: string): Promise<number> => {
  try {
    const { TemplateBody } = await new CloudFormationClient(config).send(
      new GetTemplateCommand({ StackName: stackName }),
    );
    const { Resources }: { Resources?: Resources } = JSON.parse(TemplateBody ?? '{}');
    return ofType(Resources ?? {}, 'AWS::Lambda::Function').reduce(
      (sum, { Properties }) => sum + Number(Properties.ReservedConcurrentExecutions ?? 0),
      0,
    );
  } catch (error) {
    // The stack does not exist.
    if (nameOf(error) === 'ValidationError') return 0;
    throw error;
  }
};

/**
 * @param reserved the sum of all functions' reserved concurrency
 * @returns the reason why the account has no room for the functions beside those of other stacks; undefined if it has
 */
export const checkQuota = async (
  config: object,
  { reserved, stackName }: { reserved: number; stackName: string },
): Promise<string | undefined> => {
  const { AccountLimit } = await new LambdaClient(config).send(new GetAccountSettingsCommand({}));
  const limit = AccountLimit?.ConcurrentExecutions ?? 0;
  const free = AccountLimit?.UnreservedConcurrentExecutions ?? limit;
  const needed = reserved + UNRESERVED;
  if (free >= needed) return undefined;
  const left = free + (await reservedBy(config, stackName));
  if (left >= needed) return undefined;
  const taken = limit - left;
  return [
    `This account runs ${limit} functions at once, and this stage needs ${needed}: ${reserved} are reserved, and Lambda keeps ${UNRESERVED} for other functions.${taken > 0 ? ` Functions of other stacks reserve ${taken}.` : ''}`,
    `Raise the quota "Concurrent executions" of AWS Lambda (L-B99A9384) in this region, and deploy again. Nothing was created.`,
    `aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value ${Math.max(1_000, needed + taken)}`,
  ].join('\n');
};

const hasSearchRole = async (client: IAMClient): Promise<boolean> => {
  try {
    await client.send(new GetRoleCommand({ RoleName: 'AWSServiceRoleForAmazonOpenSearchService' }));
    return true;
  } catch {
    // It does not exist, or the caller may not ask. The creation tells.
    return false;
  }
};

/**
 * A search domain in a VPC needs a service-linked role, once in an account. Other services create theirs themselves.
 *
 * @throws Error with the command for an administrator, if the role is missing and the caller may not create it
 */
export const ensureSearchRole = async (config: object): Promise<void> => {
  const client = new IAMClient(config);
  if (await hasSearchRole(client)) return;
  try {
    await client.send(
      new CreateServiceLinkedRoleCommand({ AWSServiceName: 'opensearchservice.amazonaws.com' }),
    );
  } catch (error) {
    // It exists.
    if (nameOf(error) === 'InvalidInputException') return;
    throw new Error(
      'The search domain needs the service-linked role of OpenSearch Service, and these credentials cannot create it. An administrator runs once: aws iam create-service-linked-role --aws-service-name opensearchservice.amazonaws.com',
      { cause: error },
    );
  }
};
