import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from './folders.ts';
import { findProgram, run } from './processes.ts';
import type { Place, Program } from './program.ts';

const database = 'chat';
const user = 'chat';

/** Statements the server runs at each start, one a line: our user, and no root without a password. */
const initialStatements = (place: Place) => `\
CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '${user}'@'127.0.0.1' IDENTIFIED BY '${place.secret('mysql')}';
ALTER USER '${user}'@'127.0.0.1' IDENTIFIED BY '${place.secret('mysql')}';
GRANT ALL PRIVILEGES ON *.* TO '${user}'@'127.0.0.1' WITH GRANT OPTION;
ALTER USER 'root'@'localhost' IDENTIFIED BY '${place.secret('mysql-root')}';
`;

/** MariaDB, or MySQL where that is what is installed. Undefined when neither is. */
export const findMysql = async (): Promise<Program | undefined> => {
  const server = findProgram('mariadbd', 'mysqld');
  if (server === undefined) return undefined;
  const version = await run({ file: server, args: ['--no-defaults', '--version'], cwd: '/' });
  const isMariadb = version.includes('MariaDB');
  const installer = findProgram('mariadb-install-db', 'mysql_install_db');
  if (isMariadb && installer === undefined) return undefined;

  /** A half-made data folder is made anew: it gets its name only once it is whole. */
  const initialise = async (place: Place) => {
    const unfinished = `${place.dataFolder}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    if (isMariadb && installer !== undefined) {
      await place.run({
        file: installer,
        args: [
          '--no-defaults',
          `--datadir=${unfinished}`,
          `--tmpdir=${place.folder}`,
          '--skip-test-db',
          '--skip-name-resolve',
        ],
        cwd: place.folder,
      });
    } else {
      await place.run({
        file: server,
        args: ['--no-defaults', `--datadir=${unfinished}`, '--initialize-insecure'],
        cwd: place.folder,
      });
    }
    renameSync(unfinished, place.dataFolder);
  };

  return {
    name: 'mysql',
    users: ['mysql', 'nobody'],
    ports: ['mysql'],
    prepare: async (place) => {
      writePrivate(join(place.folder, 'init.sql'), initialStatements(place), place.user);
      if (!existsSync(place.dataFolder)) await initialise(place);
    },
    command: (place) => ({
      file: server,
      args: [
        '--no-defaults',
        `--datadir=${place.dataFolder}`,
        // A server that starts removes all temporary tables it finds there, another server's too.
        `--tmpdir=${place.folder}`,
        '--bind-address=127.0.0.1',
        `--port=${place.port('mysql')}`,
        // In the data folder and named from there: the full path could be longer than a socket's may be.
        '--socket=server.sock',
        `--pid-file=${join(place.folder, 'server.pid')}`,
        `--init-file=${join(place.folder, 'init.sql')}`,
        '--character-set-server=utf8mb4',
        '--default-time-zone=+00:00',
        '--skip-name-resolve',
        '--skip-log-bin',
        '--performance-schema=OFF',
        '--max-connections=500',
        ...(isMariadb ? [] : ['--mysqlx=OFF']),
      ],
      cwd: place.folder,
    }),
    url: (place) => `mysql://${user}:${place.secret('mysql')}@127.0.0.1:${place.port('mysql')}/${database}`,
  };
};
