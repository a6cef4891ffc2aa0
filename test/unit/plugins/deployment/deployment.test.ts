import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { checkQuota, createServiceLinkedRoles } from '../../../../plugins/deployment/account.ts';
import Deployment from '../../../../plugins/deployment/index.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** An AWS account that gives this answer to every call. @returns the configuration of a client for it */
const startAccount = async (answer: { status?: number; body: string }) => {
  const calls: string[] = [];
  const started = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' }).end(answer.body);
  });
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const { port } = started.address() as AddressInfo;
  return {
    calls,
    config: {
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      maxAttempts: 1,
    },
  };
};
const settings = (concurrency: number) =>
  JSON.stringify({ AccountLimit: { ConcurrentExecutions: concurrency } });

it('refuses an account that runs ten functions at once, and names the quota to raise', async () => {
  const { config, calls } = await startAccount({ body: settings(10) });
  const refusal = await checkQuota(config, 62);
  expect(refusal).toContain('runs 10 functions at once, and this stage needs 162');
  expect(refusal).toContain('"Concurrent executions" of AWS Lambda (L-B99A9384)');
  expect(calls).toEqual(['GET /2016-08-19/account-settings']);
});

it("accepts an account with room for all reservations and for Lambda's own share", async () => {
  const { config } = await startAccount({ body: settings(162) });
  expect(await checkQuota(config, 62)).toBeUndefined();
  expect(await checkQuota(config, 63)).toContain('needs 163');
});

it('passes over a service-linked role that exists', async () => {
  const { config, calls } = await startAccount({
    status: 400,
    body: '<ErrorResponse><Error><Code>InvalidInput</Code><Message>has been taken in this account</Message></Error></ErrorResponse>',
  });
  await createServiceLinkedRoles(config);
  expect(calls).toHaveLength(1);
});

it('fails when the account may not make the role', async () => {
  const { config } = await startAccount({
    status: 403,
    body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>',
  });
  await expect(createServiceLinkedRoles(config)).rejects.toThrow('no');
});

/** The plugin in a service of two functions that reserve 62 environments. */
const deploymentOf = (config: object) => {
  const notices: string[] = [];
  const plugin = new Deployment(
    {
      service: {
        functions: { createChat: { reservedConcurrency: 50 }, listChats: { reservedConcurrency: 12 } },
        provider: { compiledCloudFormationTemplate: { Resources: {} } },
      },
      getProvider: () => ({ getAwsSdkV3Config: async () => config, getStage: () => 'dev' }),
      classes: { Error: class extends Error {} },
    },
    {},
    { log: { notice: (text) => notices.push(text) } },
  );
  return { notices, run: async (hook: string) => plugin.hooks[hook]?.() };
};

it('stops a deploy in such an account before it creates anything', async () => {
  const { config, calls } = await startAccount({ body: settings(10) });
  await expect(deploymentOf(config).run('before:deploy:deploy')).rejects.toThrow('this stage needs 162');
  expect(calls).toEqual(['GET /2016-08-19/account-settings']);
});

it.each(['before:remove:remove', 'after:remove:remove'])('says at %s which data are kept', async (hook) => {
  const { notices, run } = deploymentOf({});
  await run(hook);
  expect(notices).toEqual([expect.stringMatching(/keeps its data: final snapshots .* Stage: dev\.$/)]);
});
