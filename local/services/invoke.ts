// Runs one function once: node invoke.ts <module> <event as JSON>
// A separate process keeps the function's clients and logs out of the process that shows progress.
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
// The function's clients stay open, as in an execution environment between two events.
process.exit(0);
