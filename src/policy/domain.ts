/**
 * The host that a URL argument names, or nothing when two URL parsers could read two hosts in it
 * (docs/concepts.md, Security contexts). WHATWG URL decides; what it merely tolerates is refused beforehand.
 */

const WEB_URL = /^(?:https?|wss?|ftp):\/\/([^/]+)(?:\/|$)/i;
const HOST_AND_PORT = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i;
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

/**
 * The host of a URL (http, https, ws, wss, ftp) or of a bare `host` or `host:port`: lower case, punycode,
 * without a trailing dot; IPv6 in brackets, IPv4 in four decimal parts however it was written.
 *
 * null for all else: another scheme, a URL without `//`, credentials (or an `@` before the first slash),
 * backslashes, white space or control characters anywhere, percent-encoding in the host, and names that
 * only folding turns into another name (full-width letters, soft hyphens, ideographic full stops).
 */
export function hostOf(text: string): string | null {
  if (/[\s\\\p{Cc}]/u.test(text)) return null;
  const isUrl = text.includes('://');
  const before = isUrl ? WEB_URL.exec(text)?.[1] : text;
  if (before === undefined || before.includes('@')) return null;
  // A query may follow a URL's host without a slash; a bare host has neither query nor path.
  const authority = isUrl ? before.replace(/[?#].*$/u, '') : text;
  const host = HOST_AND_PORT.exec(authority)?.[1];
  if (host === undefined || !URL.canParse(`http://${authority}`)) return null;
  return canonicalHost(host);
}

/** The one spelling of a host without a port, by the same rules; null when it is not a host. */
export function canonicalHost(host: string): string | null {
  if (host === '' || /[\s\\\p{Cc}/?#@%]/u.test(host)) return null;
  if (host.includes(':') && !host.startsWith('[')) return null;
  if (!URL.canParse(`http://${host}`)) return null;
  const parsed = new URL(`http://${host}`).hostname;
  if (parsed.startsWith('[')) return parsed;
  if (IPV4.test(parsed)) return plainAddress(host) ? parsed : null;
  const labels = withoutTrailingDot(host).split('.');
  const canonical = withoutTrailingDot(parsed).split('.');
  const same = labels.length === canonical.length && labels.every((label, i) => reads(label, canonical[i]!));
  return same ? canonical.join('.') : null;
}

/** Removes the dot that makes a name absolute. */
export function withoutTrailingDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/** Whether every parser reads a label this way: itself in lower case, or the punycode of its letters. */
function reads(label: string, canonical: string): boolean {
  if (label === '') return false;
  if (isAscii(label)) return canonical === label.toLowerCase();
  return canonical.startsWith('xn--') && label.normalize('NFKC') === label;
}

/** Zero-padded numbers are octal to some parsers and decimal to others. */
function plainAddress(host: string): boolean {
  return isAscii(host) && !host.split('.').some((part) => /^0\d/.test(part));
}

function isAscii(text: string): boolean {
  return /^[!-~]*$/.test(text);
}
