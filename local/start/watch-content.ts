import { readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** An editor writes a file in several steps; one change within this time, in milliseconds, follows from another. */
const SETTLE_MS = 100;

const readContent = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // An editor is replacing it.
    return undefined;
  }
};

/**
 * Watches the content of one file, also when an editor replaces the file. It does not keep the process alive.
 * @returns `next`, which settles after the next change, at once if there was one since the last call
 */
export const watchContent = (path: string): { next: () => Promise<void> } => {
  let known = readContent(path);
  let settle: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const content = readContent(path);
    if (settle === undefined || content === undefined || content === known) return;
    known = content;
    settle();
    settle = undefined;
  };
  watch(dirname(path), { persistent: false }, (_event, name) => {
    if (name !== null && name !== basename(path)) return;
    clearTimeout(timer);
    timer = setTimeout(look, SETTLE_MS);
  });
  return {
    next: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      settle = resolve;
      look();
      return promise;
    },
  };
};
