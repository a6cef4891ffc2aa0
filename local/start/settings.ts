import { basename } from 'node:path';
import * as z from 'zod';
import { findFaults, settingNames } from '#lib/runtime/config.ts';
import {
  checkUrl,
  Failure,
  messageOf,
  type ServiceName,
  serviceNames,
  urlVariables,
} from '../services/index.ts';
import { readEnvFile } from './env-file.ts';
import { findNearestName } from './nearest-name.ts';

const port = z
  .string()
  .refine((text) => /^(?:[1-9]\d{0,4})?$/.test(text) && Number(text) <= 65_535)
  .optional();

/** Settings of the start itself, which no function reads. */
const own = z.object({
  PORT: port,
  WEBSOCKET_PORT: port,
  LOCAL_SERVICES: z.enum(['', 'docker', 'process']).optional(),
  SYNC_COUNTS_RATE: z
    .string()
    .regex(/^(?:rate\([1-9]\d{0,5} (?:minute|hour|day)s?\)|cron\(\S+(?: \S+){5}\))?$/)
    .optional(),
});
const expected: Record<string, string> = {
  PORT: 'Must be a number from 1 to 65535, or empty for 3000',
  WEBSOCKET_PORT: 'Must be a number from 1 to 65535, or empty for the port after PORT',
  LOCAL_SERVICES: 'Must be docker or process, or empty',
  SYNC_COUNTS_RATE: 'Must be a rate such as rate(5 minutes), or cron(…) with six fields',
};
const ownNames = Object.keys(own.shape);

/** Variables of the tools that this project starts. */
const ofTools =
  /^(?:(?:POWERTOOLS|DOCKER|COMPOSE|NODE|NPM|AWS|MAVEN|JAVA)_\w+|npm_\w+|OPENSEARCH_JAVA_HOME|XDG_CACHE_HOME|HOME|PATH|TZ|CI|(?:https?|no)_proxy|(?:HTTPS?|NO)_PROXY)$/;

/** Settings of functions in the cloud. */
const ofCloud = ['METRICS_NAMESPACE', 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE'];
/** Settings that the start sets itself. */
const ofStart = ['CONNECTIONS_URL', 'LAMBDA_URL'];

export const knownNames: readonly string[] = [
  ...settingNames.filter((name) => ![...ofCloud, ...ofStart].includes(name)),
  ...ownNames,
];
const isKnown = (name: string): boolean => knownNames.includes(name) || ofTools.test(name);

/** Other programs have variables as well, so that the shell gets hints about close misspellings only. */
const MISTYPED_IN_SHELL = { most: 2, atLeastLong: 8 };

const hintOf = (place: string, name: string, nearest: string | undefined): string =>
  `${place}: ${name} is not a setting. ${nearest === undefined ? 'See .env.example.' : `Did you mean ${nearest}?`}`;

/** Faults of single settings by name. A URL or a secret that is not set is chosen by the start. */
const faultsOf = (settings: NodeJS.ProcessEnv): { name: string; message: string }[] => {
  const isUrl = new Set<string>(Object.values(urlVariables));
  const faultOfUrl = (service: ServiceName) => {
    const name = urlVariables[service];
    try {
      if (settings[name]) checkUrl(service, settings[name]);
      return [];
    } catch (error) {
      return [{ name, message: messageOf(error) }];
    }
  };
  return [
    ...(own.safeParse(settings).error?.issues ?? []).map(({ path }) => {
      const name = String(path[0]);
      return { name, message: `${name}: ${expected[name]}.` };
    }),
    ...serviceNames.flatMap(faultOfUrl),
    ...findFaults(settings)
      .filter(({ name }) => settings[name] && !isUrl.has(name))
      .map(({ name, message }) => ({ name, message: `${name}: ${message}.` })),
  ];
};

/**
 * Reads the settings of a file and of the shell, which wins, and checks all of them before anything starts.
 * @returns the settings of the file that the shell does not set, and hints to show, one a line
 * @throws Failure that names every fault with its file and line, and shows no value
 */
export const readSettings = (
  path: string,
  shell: NodeJS.ProcessEnv,
): { given: Record<string, string>; hints: string[] } => {
  const file = readEnvFile(path);
  const read = file.settings.filter(({ name }) => shell[name] === undefined);
  const given = Object.fromEntries(read.map(({ name, value }) => [name, value]));
  const placeOf = (name: string): string => {
    const line = read.findLast((setting) => setting.name === name)?.line;
    return line === undefined ? 'environment' : `${basename(path)}:${line}`;
  };
  const faults = [
    ...file.faults,
    ...faultsOf({ ...given, ...shell }).map(({ name, message }) => `${placeOf(name)}: ${message}`),
  ];
  if (faults.length > 0)
    throw new Failure(`Settings are wrong, and nothing was started:\n  ${faults.join('\n  ')}`);
  const inFile = file.settings
    .filter(({ name }) => !isKnown(name))
    .map(({ name, line }) => hintOf(`${basename(path)}:${line}`, name, findNearestName(name, knownNames)));
  const inShell = Object.keys(shell)
    .filter((name) => name.length >= MISTYPED_IN_SHELL.atLeastLong && !isKnown(name))
    .flatMap((name) => {
      const nearest = findNearestName(name, knownNames, MISTYPED_IN_SHELL.most);
      return nearest === undefined ? [] : [hintOf('environment', name, nearest)];
    });
  return { given, hints: [...file.hints, ...inFile, ...inShell] };
};
