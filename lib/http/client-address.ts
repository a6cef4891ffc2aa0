import { isIP } from 'node:net';

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
