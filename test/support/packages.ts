import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const checkout = resolve(import.meta.dirname, '../..');

export const stages = ['dev', 'prod'] as const;
export type Stage = (typeof stages)[number];

export type Resource = {
  Type: string;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
  Metadata?: object;
  // biome-ignore lint/suspicious/noExplicitAny: each type of resource has properties of its own; the tests say which.
  Properties: Record<string, any>;
};
export type Template = {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, { Value?: unknown; Export?: { Name: unknown } }>;
};

export const packageFolder = (stage: Stage): string => join(checkout, '.data/cloud', stage);

export const readTemplate = (stage: Stage): Template =>
  JSON.parse(readFileSync(join(packageFolder(stage), 'cloudformation-template-update-stack.json'), 'utf8'));

/**
 * Packages as a deploy does, in an environment that has nothing but a path and a home.
 *
 * @throws Error with osls' output when it warns of anything
 */
const packageStage = async (stage: Stage, folder: string): Promise<void> => {
  const home = mkdtempSync(join(tmpdir(), 'chat-cloud-'));
  try {
    rmSync(folder, { recursive: true, force: true });
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [
        join(checkout, 'node_modules/serverless/bin/serverless.js'),
        'package',
        ...['--stage', stage, '--package', folder],
      ],
      {
        cwd: checkout,
        // An exported URL must not reach a template. This one would be visible there.
        env: {
          PATH: process.env.PATH,
          HOME: home,
          SLS_TELEMETRY_DISABLED: '1',
          MYSQL_URL: 'mysql://leaked-from-the-environment',
        },
        timeout: 300_000,
      },
    );
    if (/warning|deprecat/i.test(stdout + stderr)) throw new Error(`sls package warns:\n${stdout}${stderr}`);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};

/** For a vitest project: packages both stages. The bundles of the last one are kept. */
export default async function setup(): Promise<void> {
  for (const stage of stages) await packageStage(stage, packageFolder(stage));
}
