import type { Address, RedisNode } from './node.ts';

const isSame = (one: Address, other: Address) => one.host === other.host && one.port === other.port;

/** The server that a `MOVED` names, for example `MOVED 3999 10.0.0.2:6379`; without a host it is the same one. */
const movedTo = ({ refusal, address }: RedisNode): Address | undefined => {
  const found = /^MOVED \d+ (.*):(\d+)/.exec(refusal ?? '');
  return found === null ? undefined : { host: found[1] || address.host, port: Number(found[2]) };
};

/**
 * Where to look for the primary, most promising first: the URL's server and, of a clustered server, those that its
 * shard consisted of. An address that failed goes to the end, so that the next attempt tries another.
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
    /** @param last the node that was used until now: where it sends us comes first, and itself last if it refused */
    next: (last: RedisNode | undefined): Address => {
      if (last?.refusal !== undefined) {
        known = [...without(last.address), ...known.filter((one) => isSame(one, last.address))];
        const target = movedTo(last);
        if (target !== undefined) prefer(target);
      }
      return known[0] ?? given;
    },
    failed,
    /** Replication without a cluster has no members to tell: only the URL says who may take writes. */
    reached: (primary: Address, members: readonly Address[]): void => {
      known = [given, ...members.filter((member) => !isSame(member, given))];
      if (members.length > 0) prefer(primary);
    },
  };
};
