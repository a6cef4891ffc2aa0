import * as z from 'zod';
import { type Address, type NodeOptions, openNode, type RedisNode } from './node.ts';

/** During a failover servers may redirect more than once. */
const MAX_HOPS = 4;

/** An error that only a change of the configuration resolves. */
export class RedisConfigurationError extends Error {
  override name = 'RedisConfigurationError';
}

/**
 * The rule of Redis: the text between the first `{` and the next `}` determines the slot, unless it is empty.
 */
const hasHashTag = (prefix: string): boolean => /^[^{]*\{[^}]+\}/.test(prefix);

const slotNode = z.tuple([z.string().nullable(), z.int(), z.string()]).rest(z.unknown());
const slotRanges = z.array(z.tuple([z.int(), z.int(), slotNode]).rest(slotNode));

/** An empty host means the queried server; `?` means that the server does not know the host. */
const addressIn = ([host, port]: z.infer<typeof slotNode>, asked: Address): Address[] =>
  host === '?' ? [] : [{ host: host || asked.host, port }];

/** The server of the keys, and the servers that may take over after a failover. */
type Shard = { isHere: boolean; primary: Address | undefined; members: Address[] };

const readShard = async ({ redis, address }: RedisNode, keyPrefix: string): Promise<Shard> => {
  if (!hasHashTag(keyPrefix)) {
    throw new RedisConfigurationError(
      'REDIS_KEY_PREFIX: this Redis is clustered, and needs a prefix with a hash tag, for example {chat}:',
    );
  }
  const [slot, self, ranges] = await Promise.all([
    redis.cluster('KEYSLOT', keyPrefix),
    redis.cluster('MYID'),
    redis.cluster('SLOTS').then((found) => slotRanges.parse(found)),
  ]);
  const [, , primary, ...replicas] = ranges.find(([first, last]) => first <= slot && slot <= last) ?? [];
  if (primary === undefined) throw new Error('No node of the clustered Redis serves the keys');
  return {
    isHere: primary[2] === self,
    primary: addressIn(primary, address)[0],
    members: [primary, ...replicas].flatMap((node) => addressIn(node, address)),
  };
};

/**
 * The primary to use instead; undefined if this node is the primary. `members`: the servers of the shard of a
 * cluster.
 */
const lookAround = async (
  node: RedisNode,
  keyPrefix: string,
): Promise<{ next: Address | undefined; members: Address[] }> => {
  const { info } = node;
  if (info.get('run_id') === undefined) {
    throw new RedisConfigurationError(
      'REDIS_URL: Redis shows no run_id, which tells one run of a server from another. Allow the user of the URL to run ' +
        'INFO (ACL SETUSER … +info)',
    );
  }
  if (info.get('loading') === '1') throw new Error('Redis is loading its data');
  if (info.get('cluster_enabled') === '1') {
    const { isHere, primary, members } = await readShard(node, keyPrefix);
    if (!isHere && primary === undefined) throw new Error('The address of the primary is not known');
    return { next: isHere ? undefined : primary, members };
  }
  if (info.get('role') === 'slave') {
    const host = info.get('master_host') ?? '';
    return { next: { host, port: Number(info.get('master_port')) }, members: [] };
  }
  return { next: undefined, members: [] };
};

/**
 * Connects to the primary, starting at any server of its replication or cluster.
 * @throws an Error if no primary is reachable now; RedisConfigurationError for a clustered server without a hash tag in
 * `keyPrefix`, and for a server that shows no `run_id`
 */
export const openPrimary = async (
  options: NodeOptions,
  from: Address,
  keyPrefix: string,
): Promise<{ node: RedisNode; members: Address[] }> => {
  let address = from;
  for (let hop = 0; hop < MAX_HOPS; hop += 1) {
    const node = await openNode(options, address);
    try {
      const { next, members } = await lookAround(node, keyPrefix);
      if (next === undefined) return { node, members };
      address = next;
    } catch (error) {
      node.redis.disconnect();
      throw error;
    }
    node.redis.disconnect();
  }
  throw new Error('No primary was found: every server names another one');
};
