import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { checkWritable } from './outputs.ts';
import { checkMarks, isMet, type Row, table, writeMarkdown } from './row.ts';

type Outputs = {
  /** Of package.json. It names the marks of the table in a Markdown file. */
  command: string;
  /** A file for all rows with their numbers. */
  json: string | undefined;
  /** A file with marks for the table. */
  markdown: string | undefined;
};

/**
 * Notes the time and the machine's load before a bench. Its `publish` prints the rows and writes the wanted files.
 * @throws Failure if a file cannot be written
 */
export const beginResults = ({ command, json, markdown }: Outputs) => {
  if (json !== undefined) checkWritable('--json', json);
  if (markdown !== undefined) {
    checkWritable('--markdown', markdown);
    checkMarks(markdown, command);
  }
  const [loadBefore = 0] = loadavg();
  const startedAt = performance.now();
  return {
    /** @param isComplete whether the table replaces the one of the Markdown file */
    publish: (rows: readonly Row[], options: object, isComplete = true): void => {
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;
      const caption = `${new Date().toISOString().slice(0, 10)}, ${machine}, load before the run ${loadBefore.toFixed(1)}, ${seconds.toLocaleString('en')} s.`;
      console.log(`\n${table(rows)}\n\n${caption}`);
      if (json !== undefined) {
        const found = rows.map((row) => ({ ...row, met: isMet(row) }));
        writeFileSync(
          json,
          `${JSON.stringify({ machine, loadBefore, seconds, options, rows: found }, null, 2)}\n`,
        );
      }
      if (markdown !== undefined && isComplete) writeMarkdown(markdown, { command, caption, rows });
    },
  };
};
