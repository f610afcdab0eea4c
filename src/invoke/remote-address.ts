/**
 * Where a request came from. A proxy that is trusted says so in `X-Forwarded-For` or `Forwarded` (RFC 7239); from
 * anybody else these headers are a claim like any other, and are not read.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Whether the owner of an address is a proxy whose headers are believed. */
export type IsTrusted = (address: string) => boolean;

export interface Hop {
  /** The other end of the connection; undefined: it has gone. */
  readonly peer: string | undefined;
  readonly x_forwarded_for: string | undefined;
  readonly forwarded: string | undefined;
}

/** `proxies`: addresses and networks, such as 10.0.0.0/8. Throws a TypeError that names the one that is neither. */
export function trustedProxies(proxies: readonly string[]): IsTrusted {
  const list = new BlockList();
  for (const proxy of proxies) {
    const problem = networkProblem(proxy);
    if (problem !== null) throw new TypeError(`${proxy}: ${problem}`);
    const [address = '', bits] = proxy.split('/');
    const plain = plainAddress(address);
    list.addSubnet(plain, bits === undefined ? longest(plain) : Number(bits), family(plain));
  }
  return (address) => list.check(address, family(address));
}

/** What is wrong with the text of a network; null: nothing. */
export function networkProblem(text: string): string | null {
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (isIP(address) === 0 || address.includes('%'))
    return 'expected an address, or a network such as 10.0.0.0/8';
  const most = longest(plainAddress(address));
  return bits !== undefined && Number(bits) > most ? `the network of /${bits} is over /${most}` : null;
}

/**
 * The address that the request came from: the first one, from the gateway outwards, that is no trusted proxy. What is
 * no address, such as `unknown`, ends the search at the proxy that said it. null: the connection has gone.
 */
export function remoteAddress(
  { peer, x_forwarded_for, forwarded }: Hop,
  isTrusted: IsTrusted,
): string | null {
  if (peer === undefined || isIP(peer) === 0) return null;
  const near = plainAddress(peer);
  if (!isTrusted(near)) return near;
  const said = [
    ...(x_forwarded_for === undefined ? [] : [outermost(near, x_forwarded_for.split(','), isTrusted)]),
    ...(forwarded === undefined ? [] : [outermost(near, forwarded.split(',').map(forOf), isTrusted)]),
  ];
  // A proxy adds to one of the two and passes on what a client wrote into the other: where they differ, neither counts.
  return said.every((one) => one === said[0]) ? (said[0] ?? near) : near;
}

/** What requests of one place are counted by: an IPv4 address, or the /64 of an IPv6 one, which is one customer's. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length + Number(tail.includes('.'));
  while (groups.length < 4 && groups.length < 8 - after) groups.push('0');
  if (tail !== undefined) groups.push(...tail.split(':'));
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}

/** Programs of this machine: they share one address, and none of them is far away. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

function outermost(near: string, hops: readonly string[], isTrusted: IsTrusted): string {
  let known = near;
  for (const hop of hops.toReversed()) {
    const address = addressOf(hop);
    if (address === null) return known;
    known = address;
    if (!isTrusted(known)) return known;
  }
  return known;
}

/** Of an element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`. */
function forOf(element: string): string {
  return /(?:^|;)\s*for\s*=\s*"?([^";]*)"?/i.exec(element)?.[1] ?? '';
}

/** With or without a port. null: it is none. */
function addressOf(text: string): string | null {
  const [, bracketed, bare] = /^\s*(?:\[([0-9a-f:.]+)\](?::\d{1,5})?|([0-9a-f:.]+))\s*$/i.exec(text) ?? [];
  const address = bracketed ?? bare ?? '';
  if (isIP(address) !== 0) return plainAddress(address);
  const [, without_port = ''] = /^([0-9.]+):\d{1,5}$/.exec(address) ?? [];
  return isIP(without_port) === 4 ? without_port : null;
}

/** Without a zone, and an IPv4 address in IPv6 clothes as what it is: both spellings are one caller. */
function plainAddress(address: string): string {
  const [bare = ''] = address.toLowerCase().split('%');
  const mapped = bare.replace(/^::ffff:(?=[0-9.]+$)/, '');
  if (isIP(mapped) === 4) return mapped;
  const [, high, low] = /^(?:::|0:0:0:0:0:)ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(bare) ?? [];
  if (high === undefined || low === undefined) return bare;
  const bits = (Number.parseInt(high, 16) << 16) | Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function longest(address: string): number {
  return isIPv6(address) ? 128 : 32;
}
