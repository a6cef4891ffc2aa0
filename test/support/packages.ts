import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';

const checkout = resolve(import.meta.dirname, '../..');

export const stages = ['dev', 'prod'] as const;
export type Stage = (typeof stages)[number];
/** A copy of serverless.yml with a WebSocket API and a function that speaks to the internet, packaged for dev. */
export const withSockets = 'sockets';

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
  Outputs?: Record<string, { Export?: { Name: unknown } }>;
};

export const packageFolder = (stage: Stage | typeof withSockets): string =>
  join(checkout, '.data/cloud', stage);

export const readTemplate = (stage: Stage | typeof withSockets): Template =>
  JSON.parse(readFileSync(join(packageFolder(stage), 'cloudformation-template-update-stack.json'), 'utf8'));

/** osls requires the file in the service's folder. @returns its name */
const writeConfigWithSockets = (): string => {
  const service = parse(readFileSync(join(checkout, 'serverless.yml'), 'utf8'));
  // What a function answers is of no importance here.
  const handler = 'bench/fixtures/answer-nothing.handler';
  service.functions.takeFrames = {
    handler,
    reservedConcurrency: 2,
    events: [
      { websocket: '$connect' },
      { websocket: { route: '$default', routeResponseSelectionExpression: '$default' } },
      { websocket: '$disconnect' },
    ],
  };
  service.functions.postOutside = {
    handler,
    reservedConcurrency: 2,
    internet: true,
    postsToConnections: true,
    callers: ['persistMessage', 'takeFrames'],
  };
  const name = `serverless.cloud-${process.pid}.yml`;
  writeFileSync(join(checkout, name), stringify(service));
  return name;
};

/**
 * Packages as a deploy does, in an environment that has nothing but a path and a home.
 *
 * @throws Error with osls' output when it warns of anything
 */
const packageStage = async (stage: Stage, folder: string, more: string[] = []): Promise<void> => {
  const home = mkdtempSync(join(tmpdir(), 'chat-cloud-'));
  try {
    rmSync(folder, { recursive: true, force: true });
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [
        join(checkout, 'node_modules/serverless/bin/serverless.js'),
        'package',
        ...['--stage', stage, '--package', folder],
        ...more,
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

/** For a vitest project: packages the copy with sockets, and both stages. The bundles of the last one are kept. */
export default async function setup(): Promise<void> {
  const config = writeConfigWithSockets();
  try {
    await packageStage('dev', packageFolder(withSockets), ['--config', config]);
  } finally {
    rmSync(join(checkout, config), { force: true });
  }
  for (const stage of stages) await packageStage(stage, packageFolder(stage));
}
