/**
 * Compact JWS (RFC 7515), read strictly and verified by `node:crypto`. Three algorithms, no options, no key from the
 * token: what may differ is decided by the caller, before a key is touched.
 */
import { type KeyObject, verify } from 'node:crypto';

type Members = { readonly [name: string]: unknown };

/** A token in its parts; nothing of it is verified. */
export interface CompactJws {
  readonly header: Members;
  /** The payload, a JSON object. */
  readonly claims: Members;
  /** What the signature covers: header and payload as sent. */
  readonly input: string;
  readonly signature: Buffer;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws an Error that explains what is wrong with the text, and never shows it. */
export function parseJws(text: string): CompactJws {
  const [header = '', payload = '', signature, more] = text.split('.', 4);
  if (signature === undefined || more !== undefined) throw new Error('not three parts');
  return {
    header: parseObject(header),
    claims: parseObject(payload),
    input: text.slice(0, header.length + 1 + payload.length),
    signature: decode(signature),
  };
}

/** Key type and digest by algorithm. A key of another type never fits, so that no algorithm is used with a wrong key. */
const ALGORITHMS: ReadonlyMap<string, { readonly type: string; readonly digest: string | null }> = new Map([
  ['EdDSA', { type: 'ed25519', digest: null }],
  ['Ed25519', { type: 'ed25519', digest: null }],
  ['RS256', { type: 'rsa', digest: 'sha256' }],
  ['ES256', { type: 'ec', digest: 'sha256' }],
]);

/** Whether this key made the signature, by this algorithm. Works in the thread pool, off the event loop. */
export function fitsKey(jws: CompactJws, alg: string, key: KeyObject): Promise<boolean> {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined || algorithm.type !== key.asymmetricKeyType) return Promise.resolve(false);
  // RFC 7518 section 3.4: the two numbers of an ECDSA signature side by side, not as DER. Only there an object: Node
  // takes 15 us longer to find the key in one.
  const with_key = algorithm.type === 'ec' ? { key, dsaEncoding: 'ieee-p1363' as const } : key;
  return new Promise((resolve) => {
    verify(algorithm.digest, Buffer.from(jws.input), with_key, jws.signature, (error, fits) =>
      // An error is about the form of the signature: it is none of this key.
      resolve(error === null && fits),
    );
  });
}

function parseObject(part: string): Members {
  const value: unknown = JSON.parse(utf8.decode(decode(part)));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('not a JSON object');
  return value as Members;
}

/** Base64url without padding, in its one spelling (RFC 7515 section 2). */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== part) throw new Error('not base64url');
  return bytes;
}
