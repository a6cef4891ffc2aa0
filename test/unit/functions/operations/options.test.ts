import { expect, it } from 'vitest';
import { handler as deadLetters } from '../../../../functions/operations/dead-letters.ts';
import { handler as reconcile } from '../../../../functions/operations/reconcile.ts';
import { handler as reindex } from '../../../../functions/operations/reindex.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';

it.each([
  ['reconcile', reconcile, { sample: 10 }],
  ['reindex', reindex, { action: 'continue' }],
  ['deadLetters', deadLetters, { action: 'list' }],
])('%s refuses an option that it does not know, before it does anything', async (name, handler, options) => {
  // A mistyped option would otherwise leave the default, which changes data.
  const event = { ...options, dryRun: true };
  await expect(handler(event, createLambdaContext(name))).rejects.toThrow('dryRun');
});
