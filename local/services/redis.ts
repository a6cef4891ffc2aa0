import { join } from 'node:path';
import { makeFolder, writePrivate } from './folders.ts';
import { findProgram } from './processes.ts';
import type { Place, Program } from './program.ts';

/**
 * Redis holds the numbers and the outbox. An answer means that the write is on the disk: one fsync serves all clients of
 * a turn of the event loop. Keys are never evicted.
 */
const configuration = (place: Place) => `\
bind 127.0.0.1
port ${place.port('redis')}
requirepass ${place.secret('redis')}
dir ./data
daemonize no
save ""
appendonly yes
appendfsync always
maxmemory-policy noeviction
`;

/** Finds Redis or Valkey; undefined if neither is installed. */
export const findRedis = async (): Promise<Program | undefined> => {
  const server = findProgram('redis-server', 'valkey-server');
  if (server === undefined) return undefined;
  return {
    name: 'redis',
    users: ['redis', 'valkey', 'nobody'],
    ports: ['redis'],
    prepare: async (place) => {
      makeFolder(place.dataFolder, place.user);
      writePrivate(join(place.folder, 'redis.conf'), configuration(place), place.user);
    },
    // Redis makes the path of its own file absolute and reads it as a pattern, but takes that of an included one as it is.
    command: (place) => ({ file: server, args: ['--include', './redis.conf'], cwd: place.folder }),
    url: (place) => `redis://:${place.secret('redis')}@127.0.0.1:${place.port('redis')}`,
  };
};
