import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileAddressPolicy } from '../../src/execute/address.ts';

const strict = compileAddressPolicy({ allow_private: false, allow_addresses: [] });
const lenient = compileAddressPolicy({ allow_private: true, allow_addresses: [] });

const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '172.15.255.255',
  '172.32.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '169.253.255.255',
  '223.255.255.255',
  '2606:4700::1111',
  '2a00:1450:4001::1',
  '::ffff:8.8.8.8',
  '::ffff:0:8.8.8.8',
  '::8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2002:808:808::1',
  // Teredo: server 8.8.8.8, client 8.8.4.4 with its bits inverted.
  '2001:0:808:808:0:0:f7f7:fbfb',
];

const PRIVATE = [
  '127.0.0.1',
  '127.255.255.254',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '100.127.255.255',
  '::1',
  'fd12:3456::1',
  'fc00::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:10.0.0.1',
  '::ffff:0:127.0.0.1',
  '::127.0.0.1',
  '::7f00:1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::1',
  '2002:a00:1::',
  // Teredo: client 127.0.0.1; server 10.0.0.1.
  '2001:0:808:808:0:0:80ff:fffe',
  '2001:0:a00:1:0:0:f7f7:fbfb',
];

const NEVER = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '169.254.0.1',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::2',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1',
  'fec0::1',
  'ff02::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100::1',
  '2001:db8::1',
  '2001:2::1',
  '3fff::1',
  '4000::1',
  '5f00::1',
  '64:ff9b:1::8.8.8.8',
  '::ffff:169.254.169.254',
  '::ffff:0.0.0.0',
  '::169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b::168.63.129.16',
  '2002:a9fe:a9fe::1',
  '2001:0:808:808:0:0:5601:5601',
  // No canonical literals: what a resolver makes of them is judged instead.
  '',
  'localhost',
  '0x7f000001',
  '2130706433',
  '017700000001',
  '127.1',
  '010.0.0.1',
  '[::1]',
  '8.8.8.8:80',
  '8.8.8.8/32',
];

describe('compileAddressPolicy', () => {
  it.each(PUBLIC)('allows the public %s', (address) => {
    expect(strict(address)).toBe(true);
  });

  it.each(PRIVATE)('allows the private %s only with allow_private', (address) => {
    expect(strict(address)).toBe(false);
    expect(lenient(address)).toBe(true);
  });

  it.each(NEVER)('never allows %s by range', (address) => {
    expect(strict(address)).toBe(false);
    expect(lenient(address)).toBe(false);
  });

  it('allows a listed address whatever its range, in any notation, and no neighbour', () => {
    const listed = compileAddressPolicy({
      allow_private: false,
      allow_addresses: ['169.254.169.254', 'FE80:0::1', '::ffff:10.0.0.7', 'not an address'],
    });
    for (const address of [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      'fe80::1',
      '10.0.0.7',
    ]) {
      expect(listed(address), address).toBe(true);
    }
    for (const address of ['169.254.169.253', 'fe80::2', '10.0.0.8', 'not an address']) {
      expect(listed(address), address).toBe(false);
    }
  });

  it('judges every IPv4 address alike inside each IPv6 form of it', () => {
    const octet = fc.oneof(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 168, 254, 224), fc.nat(255));
    fc.assert(
      fc.property(octet, octet, octet, octet, (a, b, c, d) => {
        const address = `${a}.${b}.${c}.${d}`;
        const high = ((a << 8) | b).toString(16);
        const low = ((c << 8) | d).toString(16);
        const forms = [
          `::ffff:${address}`,
          `::ffff:0:${address}`,
          `64:ff9b::${address}`,
          `2002:${high}:${low}::1`,
        ];
        for (const form of forms) {
          expect(strict(form), form).toBe(strict(address));
          expect(lenient(form), form).toBe(lenient(address));
        }
      }),
    );
  });

  it('allows no more without allow_private than with it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        expect(!strict(address) || lenient(address)).toBe(true);
      }),
    );
  });
});
