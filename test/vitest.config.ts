import { defineConfig } from 'vitest/config';

const project = (name: string, more: { servers?: boolean; timeoutMs?: number } = {}) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    ...(more.servers ? { globalSetup: ['test/support/services.ts'] } : {}),
    testTimeout: more.timeoutMs ?? 5_000,
    hookTimeout: 120_000,
  },
});

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    // Two processors serve the tests and four servers: more files at once would only wait for each other.
    maxWorkers: 2,
    projects: [
      project('unit'),
      project('integration', { servers: true, timeoutMs: 30_000 }),
      project('e2e', { servers: true, timeoutMs: 60_000 }),
      project('chaos', { servers: false, timeoutMs: 300_000 }),
    ],
  },
});
