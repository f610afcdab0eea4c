/** Strict base64: one alphabet at a time, no white space, no junk, no stray bits. */

const STANDARD = /^[A-Za-z0-9+/]*$/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/**
 * The bytes of a base64 text, standard or URL-safe, padded or not; null when it is anything else. Each byte
 * sequence has exactly one spelling per alphabet and padding (RFC 4648 section 3.5: trailing bits must be zero).
 */
export function decodeBase64(text: string): Uint8Array | null {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const body = padding === 0 ? text : text.slice(0, -padding);
  if (!STANDARD.test(body) && !URL_SAFE.test(body)) return null;
  if (padding > 0 && text.length % 4 !== 0) return null;
  if (body.length % 4 === 1) return null;
  const bytes = Buffer.from(body, 'base64');
  return bytes.toString('base64url') === body.replaceAll('+', '-').replaceAll('/', '_') ? bytes : null;
}
