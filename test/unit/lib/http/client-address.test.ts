import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forwardedAddress } from '#lib/http/client-address.ts';

describe('the address of a client', () => {
  const gateway = '198.51.100.9';

  it.each([0, 1, 2])('without the header is the address that the gateway saw (%i proxies)', (proxies) => {
    expect(forwardedAddress('', gateway, proxies)).toBe(gateway);
  });

  it.each([
    // Local emulation, or another gateway that leaves the header as it came.
    ['192.0.2.1', 1, '192.0.2.1'],
    ['203.0.113.66, 192.0.2.1', 1, '192.0.2.1'],
    ['203.0.113.66,192.0.2.1 , 198.51.100.8', 2, '192.0.2.1'],
    // API Gateway adds the address that it saw.
    [`192.0.2.1, ${gateway}`, 1, '192.0.2.1'],
    [`203.0.113.66, 192.0.2.1, ${gateway}`, 1, '192.0.2.1'],
    [`203.0.113.66, 192.0.2.1, 198.51.100.8, ${gateway}`, 2, '192.0.2.1'],
    // Fewer proxies than trusted: the first one of the header.
    ['192.0.2.1', 3, '192.0.2.1'],
    [gateway, 1, gateway],
    // Ports and brackets, as some proxies write them.
    ['192.0.2.1:51234', 1, '192.0.2.1'],
    ['[2001:db8::1]:443', 1, '2001:db8::1'],
    ['[2001:db8::1]', 1, '2001:db8::1'],
    ['2001:db8::1', 1, '2001:db8::1'],
    // No address in that place.
    ['unknown', 1, gateway],
    ['192.0.2.1, _hidden', 1, gateway],
    ['192.0.2.1, ', 1, gateway],
    ['192.0.2.300', 1, gateway],
    [',,,', 2, gateway],
  ])('behind proxies is its place from the right: %j with %i', (header, proxies, address) => {
    expect(forwardedAddress(header, gateway, proxies)).toBe(address);
  });

  it('ignores the header where no proxy is trusted', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (header) => {
        expect(forwardedAddress(header, gateway, 0)).toBe(gateway);
      }),
    );
  });

  it('cannot be chosen by a client: its own entries lie further to the left', () => {
    const entry = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('', 'unknown', gateway, '::1'));
    fc.assert(
      fc.property(fc.array(entry), fc.integer({ min: 1, max: 3 }), (forged, proxies) => {
        const others = Array.from({ length: proxies - 1 }, (_, at) => `198.51.100.${at + 20}`);
        const header = [...forged, '192.0.2.1', ...others].join(', ');
        expect(forwardedAddress(header, gateway, proxies)).toBe('192.0.2.1');
        expect(forwardedAddress(`${header}, ${gateway}`, gateway, proxies)).toBe('192.0.2.1');
      }),
    );
  });
});
