// Runs one function once: node invoke.ts <module> <event as JSON>
// A process of its own, so that its clients and logs are not those of the process that shows progress.
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const timeoutMs = 300_000;

const [path = '', event = '{}'] = process.argv.slice(2);
const deadline = Date.now() + timeoutMs;
const functionName = path.replace(/^.*\/|\.ts$/g, '');
const module: { handler(event: unknown, context: object): Promise<unknown> } = await import(
  pathToFileURL(path).href
);
await module.handler(JSON.parse(event), {
  functionName,
  functionVersion: '$LATEST',
  invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${functionName}`,
  memoryLimitInMB: '1024',
  awsRequestId: randomUUID(),
  logGroupName: functionName,
  logStreamName: functionName,
  callbackWaitsForEmptyEventLoop: true,
  getRemainingTimeInMillis: () => deadline - Date.now(),
});
// Its clients stay open, as they do between two events of an execution environment.
process.exit(0);
