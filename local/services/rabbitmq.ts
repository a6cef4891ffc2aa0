import { existsSync, globSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder, writePrivate } from './folders.ts';
import { findProgram, run } from './processes.ts';
import { nameOfFolder, type Place, type Program } from './program.ts';

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

/** A string of Erlang, which may be printed in several parts or as a list of numbers. */
const erlangString = /"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*|\[[\d,\s]*\]/;
const dataFolderOfQueue = new RegExp(`(data_dir =>\\s*)(${erlangString.source})`, 'gs');

/**
 * Each quorum queue keeps the path of its data in a file of Erlang terms, and finds no leader under another path. This
 * enters the present path: the data may come from an earlier version of this project or, on systems without `/proc`,
 * from a folder with another name.
 */
const moveQueues = (place: Place): void => {
  for (const name of globSync('*/quorum/*/*/config', { cwd: place.dataFolder })) {
    const file = join(place.dataFolder, name);
    const path = dirname(dirname(join(nameOfFolder(place), 'data', name)));
    const numbers = Array.from(path, (sign) => sign.codePointAt(0));
    const text = readFileSync(file, 'latin1');
    const moved = text.replaceAll(dataFolderOfQueue, (term, key: string, folder: string) =>
      folder === `"${path}"` ? term : `${key}[${numbers.join()}]`,
    );
    if (moved === text) continue;
    // Written aside: the queue's file is never incomplete.
    writePrivate(`${file}.new`, Buffer.from(moved, 'latin1'), place.user);
    renameSync(`${file}.new`, file);
  }
};

/** The package's own script. Debian's script on the PATH changes the user and knows one server only. */
const findServer = () => {
  const inPackage = '/usr/lib/rabbitmq/bin/rabbitmq-server';
  return existsSync(inPackage) ? inPackage : findProgram('rabbitmq-server');
};

/** Erlang's port mapper. Some packages install it next to the runtime. */
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

/** Finds RabbitMQ; undefined if it is not installed. */
export const findRabbitmq = async (): Promise<Program | undefined> => {
  const server = findServer();
  if (server === undefined) return undefined;
  const epmd = await findEpmd();
  if (epmd === undefined) return undefined;

  /** A separate port mapper: RabbitMQ would start the machine's, which then keeps running. */
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
      moveQueues(place);
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
        // The data contain the node's name, so it never changes. It is unique in our own port mapper.
        RABBITMQ_NODENAME: 'rabbit@localhost',
        RABBITMQ_DIST_PORT: `${place.port('rabbitmq-distribution')}`,
        RABBITMQ_MNESIA_BASE: join(nameOfFolder(place), 'data'),
        RABBITMQ_LOG_BASE: nameOfFolder(place),
        RABBITMQ_CONFIG_FILE: join(nameOfFolder(place), 'rabbitmq.conf'),
        RABBITMQ_ENABLED_PLUGINS_FILE: join(nameOfFolder(place), 'enabled_plugins'),
        // An empty file of this name keeps RabbitMQ from reading the machine's configuration.
        RABBITMQ_CONF_ENV_FILE: join(nameOfFolder(place), 'environment'),
        // The script then replaces itself by the server (exec) instead of waiting for it.
        RABBITMQ_ALLOW_INPUT: 'true',
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput -kernel inet_dist_use_interface {127,0,0,1}',
      },
      cwd: place.folder,
    }),
    url: (place) => `amqp://${user}:${place.secret('rabbitmq')}@127.0.0.1:${place.port('rabbitmq')}/${vhost}`,
  };
};
