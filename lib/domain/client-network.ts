import { isIP } from 'node:net';

const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'));

/** The four groups of an IPv6 address that name its network, without leading zeros. */
const networkOf = (address: string): string => {
  const [head = '', tail] = address.split('::');
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')];
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...(tail === undefined ? [] : zeros), ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
};

/**
 * The network of a client, for limits by address: an IPv4 address itself, or the /64 of an IPv6 address, because one
 * client usually has all of it.
 * @param address in text form, as a socket or API Gateway's `sourceIp` gives it
 */
export const clientNetwork = (address: string): string => {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [withoutZone = ''] = address.split('%');
  return withoutZone.includes(':') ? `${networkOf(withoutZone)}::/64` : withoutZone;
};

/** An entry of `X-Forwarded-For` without the port that some proxies add. */
const addressOf = (entry: string): string => {
  const [, bracketed] = /^\[([^\]]*)\](?::\d+)?$/.exec(entry) ?? [];
  return bracketed ?? entry.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
};

/**
 * The address of a client behind proxies. Each proxy adds the address that it saw to the end of `X-Forwarded-For`. Entries
 * further to the left come from the client, which may write anything.
 * @param forwardedFor the header; empty without one
 * @param sourceIp the address that the gateway saw. API Gateway adds it to the header too, local emulation does not
 * @param proxies how many addresses from the right belong to proxies; 0 ignores the header
 * @returns `sourceIp` if the header holds no address in that place
 */
export const forwardedAddress = (forwardedFor: string, sourceIp: string, proxies: number): string => {
  if (proxies === 0 || forwardedFor === '') return sourceIp;
  const hops = forwardedFor.split(',').map((entry) => addressOf(entry.trim()));
  if (hops.at(-1) === sourceIp) hops.pop();
  const found = hops[Math.max(0, hops.length - proxies)] ?? '';
  return isIP(found) === 0 ? sourceIp : found;
};
