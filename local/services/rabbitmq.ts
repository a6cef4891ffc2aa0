import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, writePrivate } from './folders.ts';
import { findProgram, run } from './processes.ts';
import type { Place, Program } from './program.ts';

const user = 'chat';
const vhost = 'chat';

const configuration = (place: Place) => `\
listeners.tcp.1 = 127.0.0.1:${place.port('rabbitmq')}
default_vhost = ${vhost}
default_user = ${user}
default_pass = ${place.secret('rabbitmq')}
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
log.console = true
log.console.level = info
log.file = false
`;

/** The package's own script; the one in the PATH of Debian drops to its user by itself and knows one server only. */
const findServer = () => {
  const inPackage = '/usr/lib/rabbitmq/bin/rabbitmq-server';
  return existsSync(inPackage) ? inPackage : findProgram('rabbitmq-server');
};

/** Erlang's port mapper, which some packages keep beside the runtime. */
const findEpmd = async (): Promise<string | undefined> => {
  const inPath = findProgram('epmd');
  const erl = findProgram('erl');
  if (inPath !== undefined || erl === undefined) return inPath;
  const root = await run({
    file: erl,
    args: ['-noshell', '-eval', 'io:format("~s", [code:root_dir()]), halt().'],
    cwd: '/',
  });
  return globSync(join(root.trim(), 'erts-*/bin/epmd'))[0];
};

/** RabbitMQ. Undefined when it is not installed. */
export const findRabbitmq = async (): Promise<Program | undefined> => {
  const server = findServer();
  if (server === undefined) return undefined;
  const epmd = await findEpmd();
  if (epmd === undefined) return undefined;

  /** A port mapper of our own: RabbitMQ would start the machine's, which then stays behind. */
  const mapper = (place: Place) => ({
    ERL_EPMD_PORT: `${place.port('rabbitmq-epmd')}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
  });

  return {
    name: 'rabbitmq',
    users: ['rabbitmq', 'nobody'],
    ports: ['rabbitmq', 'rabbitmq-distribution', 'rabbitmq-epmd'],
    prepare: async (place) => {
      makeFolder(place.dataFolder, place.user);
      writePrivate(join(place.folder, 'rabbitmq.conf'), configuration(place), place.user);
      writePrivate(join(place.folder, 'enabled_plugins'), '[].\n', place.user);
      writePrivate(join(place.folder, 'environment'), '', place.user);
    },
    companions: (place) => [{ file: epmd, args: [], env: mapper(place), cwd: place.folder }],
    command: (place) => ({
      file: server,
      args: [],
      env: {
        ...mapper(place),
        // The data carry the node's name, so it stays; the port mapper that it must be unique in is our own.
        RABBITMQ_NODENAME: 'rabbit@localhost',
        RABBITMQ_DIST_PORT: `${place.port('rabbitmq-distribution')}`,
        RABBITMQ_MNESIA_BASE: place.dataFolder,
        RABBITMQ_LOG_BASE: place.folder,
        RABBITMQ_CONFIG_FILE: join(place.folder, 'rabbitmq.conf'),
        RABBITMQ_ENABLED_PLUGINS_FILE: join(place.folder, 'enabled_plugins'),
        // Empty, and named so that the machine's own is not read.
        RABBITMQ_CONF_ENV_FILE: join(place.folder, 'environment'),
        // With it the script becomes the server (exec) instead of waiting beside it; without a shell all the same.
        RABBITMQ_ALLOW_INPUT: 'true',
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput -kernel inet_dist_use_interface {127,0,0,1}',
      },
      cwd: place.folder,
    }),
    url: (place) => `amqp://${user}:${place.secret('rabbitmq')}@127.0.0.1:${place.port('rabbitmq')}/${vhost}`,
  };
};
