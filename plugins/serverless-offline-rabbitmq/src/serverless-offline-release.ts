import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

/** Before this release a timed-out batch left a dead worker thread, and every later batch waited for it. */
const FIRST_RELEASE = [14, 7, 4] as const;
const ISSUE = 'https://github.com/dherault/serverless-offline/issues/1896';

/** A warning if the installed serverless-offline cannot run batches; otherwise none. */
export const findBrokenRelease = (): string[] => {
  const lambda = createRequire(import.meta.url).resolve('serverless-offline/lambda');
  const { version }: { version?: string } = JSON.parse(
    readFileSync(resolve(lambda, '../../../package.json'), 'utf8'),
  );
  return version === undefined || !isOlder(version)
    ? []
    : [
        `serverless-offline ${version} runs no batch after one that timed out (${ISSUE}); install ${FIRST_RELEASE.join('.')} or newer.`,
      ];
};

/** Whether a release, such as 14.7.3, came before the first that works. */
export const isOlder = (version: string): boolean => {
  const parts = version.split(/[.-]/, 3).map(Number);
  const at = FIRST_RELEASE.findIndex((wanted, index) => parts[index] !== wanted);
  return at !== -1 && (parts[at] ?? 0) < (FIRST_RELEASE[at] ?? 0);
};
