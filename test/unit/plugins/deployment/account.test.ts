import { afterEach, expect, it } from 'vitest';
import { checkQuota, ensureSearchRole } from '../../../../plugins/deployment/account.ts';
import { type Account, startAccount } from './account.ts';

let account: Account | undefined;
afterEach(() => account?.stop());

const stage = (reserved: number) => ({ reserved, stackName: 'chat-dev' });
const settings = (limit: number, unreserved = limit) =>
  JSON.stringify({
    AccountLimit: { ConcurrentExecutions: limit, UnreservedConcurrentExecutions: unreserved },
  });
const lambda = (concurrency: number) => ({
  Type: 'AWS::Lambda::Function',
  Properties: { ReservedConcurrentExecutions: concurrency },
});
const templateOf = (...concurrencies: number[]) =>
  `<GetTemplateResponse><GetTemplateResult><TemplateBody>${JSON.stringify({
    Resources: Object.fromEntries(concurrencies.map((concurrency, i) => [`F${i}`, lambda(concurrency)])),
  })}</TemplateBody></GetTemplateResult></GetTemplateResponse>`;
const failure = (status: number, code: string, message: string) => ({
  status,
  body: `<ErrorResponse><Error><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
});
const noStack = failure(400, 'ValidationError', 'Stack with id chat-dev does not exist');
const roleExists = {
  body: '<GetRoleResponse><GetRoleResult><Role><RoleName>r</RoleName></Role></GetRoleResult></GetRoleResponse>',
};
const noRole = failure(404, 'NoSuchEntity', 'The role cannot be found');

it('refuses an account that runs ten functions at once, and names the quota to raise', async () => {
  account = await startAccount({ GetAccountSettings: { body: settings(10) }, GetTemplate: noStack });
  const refusal = await checkQuota(account.config, stage(62));
  expect(refusal).toContain('runs 10 functions at once, and this stage needs 162');
  expect(refusal).toContain('"Concurrent executions" of AWS Lambda (L-B99A9384)');
});

it("accepts an account with room for all reservations and for Lambda's own share", async () => {
  account = await startAccount({ GetAccountSettings: { body: settings(162) }, GetTemplate: noStack });
  expect(await checkQuota(account.config, stage(62))).toBeUndefined();
  expect(await checkQuota(account.config, stage(63))).toContain('needs 163');
});

it('counts what other stacks reserve, and asks for that much more', async () => {
  account = await startAccount({ GetAccountSettings: { body: settings(1_000, 400) }, GetTemplate: noStack });
  const refusal = await checkQuota(account.config, stage(354));
  expect(refusal).toContain(
    'runs 1000 functions at once, and this stage needs 454: 354 are reserved, and Lambda keeps 100 for other functions. Functions of other stacks reserve 600.',
  );
  expect(refusal).toContain('--desired-value 1054');
  expect(await checkQuota(account.config, stage(300))).toBeUndefined();
});

it('gives back what the same stack reserves already', async () => {
  account = await startAccount({
    GetAccountSettings: { body: settings(1_000, 400) },
    GetTemplate: { body: templateOf(50, 50, 4) },
  });
  expect(await checkQuota(account.config, stage(404))).toBeUndefined();
  expect(await checkQuota(account.config, stage(405))).toContain('Functions of other stacks reserve 496.');
});

it('looks at the deployed template only where it matters', async () => {
  account = await startAccount({ GetAccountSettings: { body: settings(1_000) } });
  expect(await checkQuota(account.config, stage(354))).toBeUndefined();
  expect(account.calls).toEqual(['GetAccountSettings']);
});

it('fails when the deployed template cannot be read', async () => {
  account = await startAccount({
    GetAccountSettings: { body: settings(100) },
    GetTemplate: failure(403, 'AccessDenied', 'not you'),
  });
  await expect(checkQuota(account.config, stage(62))).rejects.toThrow('not you');
});

it('creates no role that exists', async () => {
  account = await startAccount({ GetRole: roleExists });
  await ensureSearchRole(account.config);
  expect(account.calls).toEqual(['GetRole']);
});

it('creates the role of a new account', async () => {
  account = await startAccount({ GetRole: noRole, CreateServiceLinkedRole: { body: '<a/>' } });
  await ensureSearchRole(account.config);
  expect(account.calls).toEqual(['GetRole', 'CreateServiceLinkedRole']);
});

it('passes over a role that exists though the caller may not ask for it', async () => {
  account = await startAccount({
    GetRole: failure(403, 'AccessDenied', 'no'),
    CreateServiceLinkedRole: failure(400, 'InvalidInput', 'has been taken in this account'),
  });
  await ensureSearchRole(account.config);
  expect(account.calls).toEqual(['GetRole', 'CreateServiceLinkedRole']);
});

it('names the command for an administrator when the caller may not create the role', async () => {
  account = await startAccount({
    GetRole: noRole,
    CreateServiceLinkedRole: failure(403, 'AccessDenied', 'no'),
  });
  await expect(ensureSearchRole(account.config)).rejects.toThrow(
    'aws iam create-service-linked-role --aws-service-name opensearchservice.amazonaws.com',
  );
});
