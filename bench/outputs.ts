import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { Failure, messageOf } from '../local/services/index.ts';

/**
 * Checks a file before a run that takes long: its result would be lost.
 * @param option the option that names the file
 * @throws Failure if the file cannot be written
 */
export const checkWritable = (option: string, file: string): void => {
  const isNew = !existsSync(file);
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new Failure(`${option} names a file that cannot be written: ${messageOf(error)}`);
  }
  if (isNew) rmSync(file);
};

/** Checks the options of a command before anything starts. A fault ends the process in one line. */
export const beforeRun = <Result>(check: () => Result): Result => {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(error.message);
    process.exit(1);
  }
};
