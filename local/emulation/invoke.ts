// Runs one function once: node invoke.ts <module> <event as JSON>
// A separate process keeps the function's clients and logs out of the process that shows progress.
import { pathToFileURL } from 'node:url';
import { timeLimits } from '../time-limits.ts';
import { createLambdaContext } from './lambda-context.ts';

const [path = '', event = '{}'] = process.argv.slice(2);
const functionName = path.replace(/^.*\/|\.ts$/g, '');
const module: { handler(event: unknown, context: object): Promise<unknown> } = await import(
  pathToFileURL(path).href
);
await module.handler(JSON.parse(event), createLambdaContext(functionName, timeLimits.functionMs));
// The function's clients stay open, as in an execution environment between two events.
process.exit(0);
