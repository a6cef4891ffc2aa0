import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from './folders.ts';
import { findProgram, run } from './processes.ts';
import type { Place, Program } from './program.ts';

const database = 'chat';
const user = 'chat';

/** Statements that the server runs at each start, one a line: they create our user and lock root out. */
const initialStatements = (place: Place) => `\
CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '${user}'@'127.0.0.1' IDENTIFIED BY '${place.secret('mysql')}';
ALTER USER '${user}'@'127.0.0.1' IDENTIFIED BY '${place.secret('mysql')}';
GRANT ALL PRIVILEGES ON *.* TO '${user}'@'127.0.0.1' WITH GRANT OPTION;
ALTER USER 'root'@'localhost' IDENTIFIED BY '${place.secret('mysql-root')}';
`;

/** Finds MariaDB or MySQL; undefined if neither is installed. */
export const findMysql = async (): Promise<Program | undefined> => {
  const server = findProgram('mariadbd', 'mysqld');
  if (server === undefined) return undefined;
  const version = await run({ file: server, args: ['--no-defaults', '--version'], cwd: '/' });
  const isMariadb = version.includes('MariaDB');
  const installer = findProgram('mariadb-install-db', 'mysql_install_db');
  if (isMariadb && installer === undefined) return undefined;

  /** The data folder gets its name when it is complete. An incomplete one is discarded. */
  const initialise = async (place: Place) => {
    const unfinished = `${place.dataFolder}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    // The installer joins its options without quotes, so no option holds our path.
    const options = ['--no-defaults', '--datadir=./data.new'];
    await place.run({
      ...(isMariadb && installer !== undefined
        ? { file: installer, args: [...options, '--skip-test-db', '--skip-name-resolve'] }
        : { file: server, args: [...options, '--initialize-insecure'] }),
      env: { TMPDIR: place.folder },
      cwd: place.folder,
    });
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
        // A starting server removes all temporary tables of its tmpdir, also those of another server.
        `--tmpdir=${place.folder}`,
        '--bind-address=127.0.0.1',
        `--port=${place.port('mysql')}`,
        // A relative path, because the full path could exceed the length limit of a socket's name.
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
