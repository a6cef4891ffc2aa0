import { Failure, messageOf } from './failure.ts';
import { checkUrl, probe, withoutPassword } from './probes.ts';
import { type RunningService, type ServiceName, urlVariables } from './types.ts';

/**
 * A server that the environment names. It is used as it is, never stopped or changed.
 * @throws Failure if its URL is malformed or it does not answer
 */
export const givenService = async (name: ServiceName, url: string): Promise<RunningService> => {
  checkUrl(name, url);
  const notOurs = (what: string): never => {
    throw new Failure(`${name} is given by ${urlVariables[name]} and is not ours to ${what}.`);
  };
  let version: string;
  try {
    version = await probe(name, url);
  } catch (error) {
    throw new Failure(
      `${urlVariables[name]} is set, and ${withoutPassword(url)} does not answer as ${name}: ${messageOf(error) || 'connection refused'}. Start that server, correct the variable, or unset it to have a server started.`,
    );
  }
  return {
    name,
    kind: 'url',
    version,
    where: `${withoutPassword(url)} (${urlVariables[name]})`,
    url,
    kill: () => notOurs('end'),
    pause: () => notOurs('pause'),
    resume: () => notOurs('resume'),
    start: async () => notOurs('start'),
    stop: async () => undefined,
    wipe: async () => notOurs('wipe'),
  };
};
