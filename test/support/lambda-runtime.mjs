// What the Lambda runtime does with an archive: loads the handler that _HANDLER names below LAMBDA_TASK_ROOT, and runs
// one event after another. The parent process sends the events.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const handlerName = process.env._HANDLER ?? '';
const dot = handlerName.lastIndexOf('.');
const base = join(process.env.LAMBDA_TASK_ROOT ?? '', handlerName.slice(0, dot));
const file = ['.js', '.mjs', '.cjs'].map((extension) => base + extension).find((path) => existsSync(path));
if (file === undefined) throw new Error(`Runtime.ImportModuleError: no ${base}`);
const { [handlerName.slice(dot + 1)]: handler } = await import(pathToFileURL(file).href);

const usage = () => ({
  wallMs: performance.now(),
  cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1_000,
  memoryMb: process.memoryUsage.rss() / 2 ** 20,
});

process.on('message', async ({ event, timeoutMs }) => {
  const deadline = Date.now() + timeoutMs;
  try {
    const result = await handler(event, {
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: '$LATEST',
      invokedFunctionArn: `arn:aws:lambda:eu-west-1:000000000000:function:${process.env.AWS_LAMBDA_FUNCTION_NAME}`,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      awsRequestId: randomUUID(),
      callbackWaitsForEmptyEventLoop: true,
      getRemainingTimeInMillis: () => deadline - Date.now(),
    });
    // Lambda answers with JSON.
    process.send({
      result: result === undefined ? null : JSON.parse(JSON.stringify(result)),
      usage: usage(),
    });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error), usage: usage() });
  }
});
process.send({ ready: true, usage: usage() });
