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
