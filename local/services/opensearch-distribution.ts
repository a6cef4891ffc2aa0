import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, Unavailable } from './failure.ts';
import { isOpenToAll, projectName } from './folders.ts';
import { chooseJava, findJavas, lowestJava } from './java.ts';
import { openSearchProgram, openSearchVersion as version } from './opensearch.ts';
import { findProgram, isRoot, run } from './processes.ts';
import type { Source } from './program.ts';
import type { Report } from './types.ts';

/** The complete server with its modules, as the OpenSearch project publishes it on Maven Central. */
const artifact = `org.opensearch.distribution.integ-test-zip:opensearch:${version}:zip`;
const sha256 = 'a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286';
const mavenPlugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/** Outside the checkout, so that a fresh clone finds it. For root, in a folder that the server's user can read. */
const cacheFolder = (environment: NodeJS.ProcessEnv): string => {
  const home = environment.XDG_CACHE_HOME || join(homedir(), '.cache');
  return isRoot && !isOpenToAll(home) ? join('/var/cache', projectName) : join(home, projectName);
};

const sha256Of = async (file: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
};

/** The zip denies other users its configuration, but the server's user must read it. */
const openForAll = async (folder: string): Promise<void> => {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    await chmod(path, entry.isDirectory() || entry.parentPath.endsWith('/bin') ? 0o755 : 0o644);
  }
};

/** Downloads and unpacks into a temporary folder, which gets its final name when it is complete and checked. */
const download = async (mvn: string, home: string, cache: string, report: Report, signal: AbortSignal) => {
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'download-'));
  const step = report.step(`downloading OpenSearch ${version} (162 MB, once)`);
  try {
    const passedOn = [
      'HOME',
      'JAVA_HOME',
      'MAVEN_OPTS',
      'MAVEN_ARGS',
      'http_proxy',
      'https_proxy',
      'no_proxy',
    ];
    await run(
      {
        file: mvn,
        args: [
          `${mavenPlugin}:copy`,
          `${mavenPlugin}:unpack`,
          `-Dartifact=${artifact}`,
          `-DoutputDirectory=${aside}`,
        ],
        env: Object.fromEntries(
          passedOn.flatMap((name) => {
            const value = process.env[name];
            return value === undefined ? [] : [[name, value]];
          }),
        ),
        cwd: aside,
      },
      {
        signal,
        onOutput: (text) => {
          const progress = /Progress \(\d+\): (?:\S+ )?(\d+(?:\.\d+)?)(?:\/| of )(\d+(?:\.\d+)? ?[kM]B)/.exec(
            text,
          );
          if (progress !== null) step.detail(`${progress[1]}/${progress[2]}`);
        },
      },
    );
    const zip = join(aside, `opensearch-${version}.zip`);
    const found = await sha256Of(zip);
    if (found !== sha256) {
      throw new Unavailable(`the download is not what was published (sha256 ${found}, expected ${sha256})`);
    }
    const unpacked = join(aside, `opensearch-${version}`);
    await openForAll(unpacked);
    // If two starts download at once, the second finds the folder of the first and keeps it.
    if (!existsSync(home)) renameSync(unpacked, home);
    step.done(`OpenSearch ${version} in ${home}`);
  } catch (error) {
    step.failed();
    throw error;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
};

/** OpenSearch from Maven Central on this machine's Java. Without either, the system runs without search. */
export const openSearchSource = (environment: NodeJS.ProcessEnv): Source => ({
  name: 'opensearch',
  find: async (report, signal) => {
    const javas = await findJavas(environment);
    const java = chooseJava(javas);
    if (java === undefined) {
      const found = javas.map(({ program, major }) => `${program} is Java ${major}`).join(', ');
      throw new Unavailable(
        `OpenSearch needs Java ${lowestJava} or later (${found === '' ? 'none found' : found}). Install one, or name it in OPENSEARCH_JAVA_HOME, or give an OPENSEARCH_URL.`,
      );
    }
    const cache = cacheFolder(environment);
    const home = join(cache, `opensearch-${version}`);
    if (existsSync(home)) return openSearchProgram(home, java);
    const mvn = findProgram('mvn');
    if (mvn === undefined) {
      throw new Unavailable(
        `OpenSearch is not in ${home} and there is no mvn to download it. Install Maven, or give an OPENSEARCH_URL.`,
      );
    }
    try {
      await download(mvn, home, cache, report, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new Unavailable(
        `OpenSearch could not be downloaded to ${cache}: ${messageOf(error)}\n  Try again, or give an OPENSEARCH_URL.`,
      );
    }
    return openSearchProgram(home, java);
  },
});
