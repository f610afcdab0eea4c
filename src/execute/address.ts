/** Which addresses the gateway may dial (traps: HTTP to upstreams). Decides on addresses, never on names. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface AddressPolicy {
  /** Loopback, private (RFC 1918, ULA) and CGNAT addresses are allowed. */
  readonly allow_private: boolean;
  /** Address literals allowed whatever their range. */
  readonly allow_addresses: readonly string[];
}

type IPv4 = ipaddr.IPv4;
type IPv6 = ipaddr.IPv6;

const PRIVATE = new Set<string>(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);

/** Metadata and platform services that sit in ranges which look ordinary: Azure, Alibaba, AWS, Google. */
const METADATA = new Set(['168.63.129.16', '100.100.100.200', 'fd00:ec2::254', 'fd20:ce::254']);

/**
 * Compiles a policy to a predicate on an address. What is no canonical IP literal is not allowed: other
 * notations (`0x7f000001`, `0177.1`) are names to the resolver, and its answer is what gets judged.
 */
export function compileAddressPolicy(policy: AddressPolicy): (address: string) => boolean {
  const listed = new Set(policy.allow_addresses.filter(isLiteral).map((text) => key(ipaddr.parse(text))));
  const allowed = (address: IPv4 | IPv6): boolean => {
    if (listed.has(key(address))) return true;
    const carried = address instanceof ipaddr.IPv6 ? embedded(address) : [];
    return carried.length > 0 ? carried.every(allowed) : inRange(address, policy.allow_private);
  };
  return (text) => isLiteral(text) && allowed(ipaddr.parse(text));
}

function isLiteral(text: string): boolean {
  return isIP(text) !== 0;
}

/** One text for one address: without zone, an IPv4-mapped address as its IPv4 self. */
function key(address: IPv4 | IPv6): string {
  if (address instanceof ipaddr.IPv4) return address.toString();
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString();
  return new ipaddr.IPv6(address.parts).toRFC5952String();
}

function inRange(address: IPv4 | IPv6, allowPrivate: boolean): boolean {
  if (METADATA.has(key(address))) return false;
  const range = address.range();
  if (PRIVATE.has(range)) return allowPrivate;
  if (range !== 'unicast') return false;
  // IANA has given out 2000::/3 only; the library calls all the rest unicast too.
  return address instanceof ipaddr.IPv4 || (part(address, 0) & 0xe000) === 0x2000;
}

/** The IPv4 addresses inside an IPv6 one: a tunnel or a translator would send the packet on to them. */
function embedded(address: IPv6): IPv4[] {
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return [ipv4(address, 6)];
    case 'rfc6052':
      // Of NAT64 only the well-known prefix says where the IPv4 address is; the local ones are not judged, hence blocked.
      return part(address, 2) === 0 ? [ipv4(address, 6)] : [];
    case '6to4':
      return [ipv4(address, 1)];
    case 'teredo':
      // Server, and client with its bits inverted (RFC 4380 section 4).
      return [ipv4(address, 2), ipv4(address, 6, 0xffff)];
    case 'unicast':
      // IPv4-compatible, ::a.b.c.d (RFC 4291 section 2.5.5.1).
      return address.parts.slice(0, 6).every((value) => value === 0) ? [ipv4(address, 6)] : [];
    default:
      return [];
  }
}

function ipv4(address: IPv6, index: number, mask = 0): IPv4 {
  const high = part(address, index) ^ mask;
  const low = part(address, index + 1) ^ mask;
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);
}

function part(address: IPv6, index: number): number {
  return address.parts[index] ?? 0;
}
