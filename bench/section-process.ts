/**
 * Runs sections of the bench on services of their own and sends their rows to the parent.
 *
 *   node bench/section-process.ts <options as JSON> <section>…
 */
import type { Options } from './section.ts';
import { isSectionName, needs, sections } from './sections/index.ts';
import { runBench } from './stack.ts';

const [, , text = '{}', ...names] = process.argv;
const options: Options = JSON.parse(text);
const wanted = names.filter(isSectionName);

await runBench(needs(wanted), async (running) => {
  for (const name of wanted) process.send?.(await sections[name].run({ ...running, options }));
});
