import { describe, expect, test } from 'vitest';
import { networkOf, networkProblem, remoteAddress, trustedProxies } from '../../src/invoke/remote-address.ts';

const isTrusted = trustedProxies(['10.0.0.0/8', '127.0.0.1', 'fd00::/8', '::ffff:192.168.1.0/24']);

function from(peer: string | undefined, headers: { xff?: string; forwarded?: string } = {}): string | null {
  return remoteAddress({ peer, x_forwarded_for: headers.xff, forwarded: headers.forwarded }, isTrusted);
}

describe('the address of a caller', () => {
  test.each([
    ['the other end of the connection', '203.0.113.9', {}, '203.0.113.9'],
    ['not what a stranger writes', '203.0.113.9', { xff: '198.51.100.1' }, '203.0.113.9'],
    ['nor in the other header', '203.0.113.9', { forwarded: 'for=198.51.100.1' }, '203.0.113.9'],
    ['what a trusted proxy says', '10.1.2.3', { xff: '198.51.100.1' }, '198.51.100.1'],
    ['the last one that is no proxy', '10.1.2.3', { xff: '1.1.1.1, 198.51.100.1, 10.9.9.9' }, '198.51.100.1'],
    ['the proxy, when it says nothing', '10.1.2.3', {}, '10.1.2.3'],
    ['the outermost of proxies alone', '10.1.2.3', { xff: '10.0.0.7, 10.0.0.8' }, '10.0.0.7'],
    ['a proxy behind which is no address', '10.1.2.3', { xff: '198.51.100.1, unknown' }, '10.1.2.3'],
    ['of IPv6', 'fd12::1', { xff: '2001:db8::7' }, '2001:db8::7'],
    ['with a port', '10.1.2.3', { xff: '198.51.100.1:4711' }, '198.51.100.1'],
    ['in brackets, with a port', '10.1.2.3', { xff: '[2001:db8::7]:4711' }, '2001:db8::7'],
    ['of Forwarded', '10.1.2.3', { forwarded: 'for="[2001:db8::7]:4711";proto=https' }, '2001:db8::7'],
    [
      'of Forwarded, in any order',
      '10.1.2.3',
      { forwarded: 'for=1.1.1.1, By=x;For=198.51.100.1' },
      '198.51.100.1',
    ],
    ['an obfuscated one is none', '10.1.2.3', { forwarded: 'for=_hidden' }, '10.1.2.3'],
    [
      'the same in both headers',
      '10.1.2.3',
      { xff: '198.51.100.1', forwarded: 'for=198.51.100.1' },
      '198.51.100.1',
    ],
    ['IPv4 in the clothes of IPv6', '::ffff:10.1.2.3', { xff: '::ffff:198.51.100.1' }, '198.51.100.1'],
    ['the same, in hexadecimal', '::FFFF:0a01:203', { xff: '198.51.100.1' }, '198.51.100.1'],
    ['a trusted network in these clothes', '192.168.1.20', { xff: '198.51.100.1' }, '198.51.100.1'],
    ['without the zone', 'fe80::1%eth0', {}, 'fe80::1'],
    ['no number that is no address', '10.1.2.3', { xff: '999.1.1.1' }, '10.1.2.3'],
    ['of a connection that has gone', undefined, { xff: '198.51.100.1' }, null],
  ])('%s', (_, peer, headers, expected) => {
    expect(from(peer, headers)).toBe(expected);
  });

  test('a proxy that passes on what a client wrote into the other header is not led astray by it', () => {
    const spoofed = { xff: '203.0.113.9', forwarded: 'for=198.51.100.1' };
    expect(from('10.1.2.3', spoofed)).toBe('10.1.2.3');
  });

  test('a long header of nonsense costs nothing much', () => {
    const started = performance.now();
    expect(from('10.1.2.3', { xff: '10.0.0.1,'.repeat(3_600), forwarded: 'for="'.repeat(6_000) })).toBe(
      '10.1.2.3',
    );
    expect(performance.now() - started).toBeLessThan(200);
  });
});

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['1::8', '1:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['64:ff9b::1.2.3.4', '64:ff9b:0:0::/64'],
])('%s is counted as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test.each([
  ['10.0.0.0/8', null],
  ['10.0.0.1', null],
  ['2001:db8::/32', null],
  ['::1', null],
  ['10.0.0.0/33', /over \/32/],
  ['2001:db8::/129', /over \/128/],
  ['proxy.example', /expected an address/],
  ['10.0.0.0/-1', /expected an address/],
  ['fe80::1%eth0', /expected an address/],
  ['', /expected an address/],
])('the network %j', (text, problem) => {
  if (problem === null) expect(networkProblem(text)).toBeNull();
  else expect(networkProblem(text)).toMatch(problem);
});
