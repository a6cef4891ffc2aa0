import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientNetwork } from '#lib/domain/client-network.ts';

describe('the network of a client', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ])('of %s is %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network);
  });

  it('is the first half of an IPv6 address, however that is written', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const half = fc.tuple(group, group, group, group);
    fc.assert(
      fc.property(half, half, half, (network, one, other) => {
        const written = (groups: number[]) => groups.map((value) => value.toString(16)).join(':');
        const full = written([...network, ...one]);
        // The form that operating systems and gateways use: longest run of zeros cut, lower case.
        const short = new URL(`http://[${written([...network, ...other])}]`).hostname.slice(1, -1);
        expect(isIPv6(full) && isIPv6(short)).toBe(true);
        expect(clientNetwork(full)).toBe(`${written(network)}::/64`);
        expect(clientNetwork(short)).toBe(clientNetwork(full));
      }),
    );
  });
});
