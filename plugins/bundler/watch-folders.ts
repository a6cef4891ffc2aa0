import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';

/** An editor writes a file in several steps; one change within this time, in milliseconds, follows from another. */
const SETTLE_MS = 30;

const foldersBelow = (folder: string): string[] => [
  folder,
  ...readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => foldersBelow(join(folder, entry.name))),
];

/**
 * Calls `onChange` after each change below the folders, one call at a time. Changes during a call lead to one more.
 * It watches folders instead of files, because many editors replace a file to save it. It does not keep the process alive.
 */
export const watchFolders = (roots: readonly string[], onChange: () => Promise<void>): void => {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const noteChange = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      watchNewFolders();
      running = running.then(onChange);
    }, SETTLE_MS);
  };
  const forget = (folder: string) => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const watchNewFolders = () => {
    for (const folder of roots.flatMap(foldersBelow)) {
      if (watchers.has(folder)) continue;
      const watcher = watch(folder, { persistent: false }, noteChange);
      // The folder was removed.
      watcher.on('error', () => forget(folder));
      watchers.set(folder, watcher);
    }
  };
  watchNewFolders();
};
