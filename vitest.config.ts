import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Node keeps the compiled sources, also without their types, for the processes of all test files.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compiled');

/** Projects run one after another, so that the servers of one do not slow down another. */
let order = 0;
const project = (
  name: string,
  more: {
    folder?: string;
    include?: string[];
    exclude?: string[];
    globalSetup?: string[];
    timeoutMs?: number;
    fileParallelism?: boolean;
  } = {},
) => {
  order += 1;
  return {
    extends: true as const,
    test: {
      name,
      include: more.include ?? [`${more.folder ?? `test/${name}`}/**/*.test.ts`],
      ...(more.exclude === undefined ? {} : { exclude: more.exclude }),
      globalSetup: more.globalSetup ?? [],
      testTimeout: more.timeoutMs ?? 5_000,
      hookTimeout: 120_000,
      fileParallelism: more.fileParallelism ?? true,
      sequence: { groupOrder: order },
    },
  };
};

const eventSource = 'plugins/serverless-offline-rabbitmq/test';
const packageTests = [
  'test/packages/**/*.test.ts',
  // These start the framework again and again.
  `${eventSource}/{package,handlers,offline,second-service}.test.ts`,
];

/**
 * Named commands run these: `npm test -- --project start` (the first command, under odd settings and in odd folders),
 * `--project packages` (packages that others install, and public generators, from the registry), `--project types`,
 * `--project redis-cluster`, `--project connections`, `--project local`, `--project chaos` (a short round of each fault), `npm run cloud:check`, and
 * `npm run test:compose`, which needs a Docker engine. With them a newcomer would wait too long for `npm test`.
 */
const namedOnly = [
  // Compiles the project with changed contracts.
  project('types', { timeoutMs: 120_000 }),
  // Runs the tests of Redis again, against a clustered server.
  project('redis-cluster', {
    globalSetup: ['test/support/redis-cluster.ts'],
    include: ['test/integration/redis-*.test.ts', 'test/integration/reading-property.test.ts'],
    timeoutMs: 30_000,
  }),
  // What runs on a developer's machine: the services, the start, the demonstration, and the page /docs in a browser.
  project('local', {
    globalSetup: ['test/support/services.ts', 'test/support/api.ts'],
    timeoutMs: 60_000,
  }),
  // Connections that vanish, fail over, are encrypted, or get new passwords.
  project('connections', { globalSetup: ['test/support/services.ts'], timeoutMs: 30_000 }),
  project('start', { timeoutMs: 300_000, fileParallelism: false }),
  project('packages', {
    include: packageTests,
    globalSetup: [`${eventSource}/broker.ts`],
    timeoutMs: 300_000,
    fileParallelism: false,
  }),
  project('cloud', {
    globalSetup: ['test/support/services.ts', 'test/support/packages.ts'],
    exclude: ['test/cloud/deploy/**'],
    timeoutMs: 60_000,
  }),
  // Deploys what the project before it has packaged.
  project('deploy', {
    folder: 'test/cloud/deploy',
    globalSetup: ['test/support/deploy-servers.ts'],
    timeoutMs: 60_000,
  }),
  project('chaos', { timeoutMs: 300_000, fileParallelism: false }),
  project('compose', { timeoutMs: 300_000, fileParallelism: false }),
];
const isNamed = process.argv.some((argument) => argument.startsWith('--project'));

export default defineConfig({
  test: {
    // Two processors serve the tests and four servers: more files at once would only wait for each other.
    maxWorkers: 2,
    // Node itself imports the tests and the sources, as it does for `npm start`. Vite would misread `#`, `?` and `%` in
    // the path of the checkout.
    experimental: { viteModuleRunner: false },
    projects: [
      project('unit'),
      project('event-source', {
        folder: eventSource,
        exclude: packageTests,
        globalSetup: [`${eventSource}/broker.ts`],
        timeoutMs: 30_000,
      }),
      project('integration', { globalSetup: ['test/support/services.ts'], timeoutMs: 30_000 }),
      project('e2e', {
        globalSetup: ['test/support/services.ts', 'test/support/api.ts'],
        timeoutMs: 60_000,
      }),
      ...(isNamed ? namedOnly : []),
    ],
  },
});
