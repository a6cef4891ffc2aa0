// Runs functions once, one after the other, as `npm start` needs them: node invoke.ts <module> …
// A process of its own, so that their clients and logs are not those of the process that shows progress.
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const timeoutMs = 300_000;

for (const path of process.argv.slice(2)) {
  const deadline = Date.now() + timeoutMs;
  const functionName = path.replace(/^.*\/|\.ts$/g, '');
  const module: { handler(event: object, context: object): Promise<unknown> } = await import(
    pathToFileURL(path).href
  );
  await module.handler(
    {},
    {
      functionName,
      functionVersion: '$LATEST',
      invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${functionName}`,
      memoryLimitInMB: '1024',
      awsRequestId: randomUUID(),
      logGroupName: functionName,
      logStreamName: functionName,
      callbackWaitsForEmptyEventLoop: true,
      getRemainingTimeInMillis: () => deadline - Date.now(),
    },
  );
}
// Their clients stay open, as they do between two requests of an execution environment.
process.exit(0);
