import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram, run } from './processes.ts';

export interface Java {
  /** The `java` program. */
  program: string;
  /** 21 for Java 21.0.4. */
  major: number;
}

/** OpenSearch 3 needs this version. */
export const lowestJava = 21;

/**
 * The major version in the output of `java -version` or in a JDK's `release` file.
 * @returns undefined if the text names no version
 */
export const majorVersionIn = (text: string): number | undefined => {
  const match = /(?:JAVA_VERSION="|version ")(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) return undefined;
  // Java 8 calls itself 1.8.
  return match[1] === '1' ? Number(match[2]) : Number(match[1]);
};

/** The first Java of the list that is new enough. */
export const chooseJava = (found: readonly Java[]): Java | undefined =>
  found.find(({ major }) => major >= lowestJava);

const versionOf = async (program: string): Promise<number | undefined> => {
  const release = join(dirname(dirname(program)), 'release');
  if (existsSync(release)) {
    const major = majorVersionIn(readFileSync(release, 'utf8'));
    if (major !== undefined) return major;
  }
  try {
    // `-version` writes to standard error, `--version` (Java 9 and later) to standard output: "openjdk 21.0.4 …".
    const output = await run({ file: program, args: ['--version'], cwd: '/' }, { timeoutMs: 10_000 });
    const major = /^\S+ (\d+)/.exec(output)?.[1];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined;
  }
};

/** Every Java of this machine: those of the environment first, then the system's (newest first), then the PATH's. */
export const findJavas = async (environment: NodeJS.ProcessEnv): Promise<Java[]> => {
  const named = [environment.OPENSEARCH_JAVA_HOME, environment.JAVA_HOME]
    .filter((home) => home !== undefined && home !== '')
    .map((home) => join(String(home), 'bin/java'));
  const system = systemJavas().map((home) => join(home, 'bin/java'));
  const inPath = findProgram('java');
  const javas = async (programs: readonly string[]): Promise<Java[]> => {
    const found = await Promise.all(
      programs
        .filter((program) => existsSync(program))
        .map(async (program) => ({ program, major: await versionOf(program) })),
    );
    return found.flatMap(({ program, major }) => (major === undefined ? [] : [{ program, major }]));
  };
  return [
    ...(await javas(named)),
    ...(await javas(system)).sort((a, b) => b.major - a.major),
    ...(await javas(inPath === undefined ? [] : [inPath])),
  ];
};

const systemJavas = (): string[] =>
  ['/usr/lib/jvm', '/Library/Java/JavaVirtualMachines', '/opt/homebrew/opt'].flatMap((folder) => {
    try {
      return readdirSync(folder).flatMap((name) => [join(folder, name), join(folder, name, 'Contents/Home')]);
    } catch {
      return [];
    }
  });
