import type { Address, RedisNode } from './node.ts';

const isSame = (one: Address, other: Address) => one.host === other.host && one.port === other.port;

/**
 * The server that a `MOVED` error names, for example `MOVED 3999 10.0.0.2:6379`. Without a host it is the
 * same server.
 */
const movedTo = ({ refusal, address }: RedisNode): Address | undefined => {
  const found = /^MOVED \d+ (.*):(\d+)/.exec(refusal ?? '');
  return found === null ? undefined : { host: found[1] || address.host, port: Number(found[2]) };
};

const distinct = (addresses: readonly Address[]): Address[] =>
  addresses.filter((address, at) => addresses.findIndex((other) => isSame(address, other)) === at);

/** A shard has at most six servers. */
const MOST_KNOWN = 8;

/**
 * Addresses at which to look for the primary, best first: the URL's server and the last known members of the
 * shard of a cluster. A failed address moves to the end, so that the next attempt tries another one.
 */
export const createRoutes = (given: Address) => {
  let known: Address[] = [given];
  const without = (address: Address) => known.filter((one) => !isSame(one, address));
  const prefer = (address: Address) => {
    known = [address, ...without(address)];
  };
  const failed = () => {
    const [first, ...rest] = known;
    if (first !== undefined) known = [...rest, first];
  };

  return {
    /**
     * @param last the previous node: the server that it redirected to comes first, and a node that refused
     * comes last
     */
    next: (last: RedisNode | undefined): Address => {
      if (last?.refusal !== undefined) {
        known = [...without(last.address), ...known.filter((one) => isSame(one, last.address))];
        const target = movedTo(last);
        if (target !== undefined) prefer(target);
      }
      return known[0] ?? given;
    },
    failed,
    /** Replication without a cluster lists no members, so only the URL names servers. */
    reached: (primary: Address, members: readonly Address[]): void => {
      if (members.length === 0) {
        known = [given];
        return;
      }
      // A member that is down at this moment is not listed, and may be the next primary.
      known = distinct([primary, given, ...members, ...known]).slice(0, MOST_KNOWN);
    },
  };
};
