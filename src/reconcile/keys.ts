/**
 * Key sets of issuers. Local ones come with the manifests; remote ones are fetched over HTTPS, kept while the server
 * is down, and asked for again within strict bounds, so that no flood of tokens becomes a flood of requests.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Log } from '../log.ts';
import { ed25519FromJwk } from '../snapshot/ed25519.ts';
import type { EnvelopeKey, TokenKeys } from '../snapshot/snapshot.ts';
import { Fault } from './problems.ts';

/** Keys of a set, and candidates for one token. */
const MAX_KEYS = 32;
const MAX_CANDIDATES = 4;
const RSA_BITS = { min: 2048, max: 8192 };

const FRESH_MS = 10 * 60_000;
const KEEP_MS = 24 * 60 * 60_000;
const UNKNOWN_KID_MS = 30_000;
/** After failures: 1 s, 2 s, 4 s and so on between attempts, up to 30 s. */
const RETRY_MS = { first: 1000, most: 30_000 };
const REQUEST_TIMEOUT_MS = 5000;
const MAX_DOCUMENT_BYTES = 256 * 1024;

type KeyType = 'Ed25519' | 'RSA' | 'P-256';

interface TokenKey {
  readonly kid: string | null;
  readonly type: KeyType;
  readonly key: KeyObject;
}

const TYPE_OF_ALGORITHM: ReadonlyMap<string, KeyType> = new Map([
  ['EdDSA', 'Ed25519'],
  ['Ed25519', 'Ed25519'],
  ['RS256', 'RSA'],
  ['ES256', 'P-256'],
]);

/**
 * The token keys of a JWKS (RFC 7517) from a manifest. Every key that may be used must be sound and fit one of the
 * algorithms; keys with `use: enc` are skipped. Throws {@link Fault}, which names the key by its index.
 */
export function localKeys(jwks: unknown, algorithms: readonly string[]): TokenKeys {
  const keys = readKeys(jwks, algorithms, (index, reason) => {
    throw faultOf(index, reason);
  });
  if (keys.length === 0) throw new Error('keys: no key to verify signatures with');
  return { candidates: async (header) => select(keys, header) };
}

/** The Ed25519 keys of a JWKS that may sign envelopes. Throws {@link Fault}, which names the key by its index. */
export function localEnvelopeKeys(jwks: unknown): EnvelopeKey[] {
  const found: EnvelopeKey[] = [];
  for (const [index, jwk] of listOf(jwks).entries()) {
    if (isObject(jwk) && jwk.use === 'enc') continue;
    try {
      found.push(ed25519FromJwk(jwk));
    } catch (error) {
      throw faultOf(index, reasonOf(error));
    }
  }
  if (found.length === 0) throw new Error('keys: no key to verify signatures with');
  return found;
}

function faultOf(index: number, reason: string): Fault {
  return new Fault(`keys[${index}]: ${reason}`, { pointer: `/keys/${index}` });
}

export interface RemoteKeysDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * The token keys behind a JWKS URL (https; http only to a loopback address). A set is fresh for 10 minutes, then
 * refreshed in the background while it serves; an unknown `kid` fetches at most once in 30 s; while the server is
 * down the last good set serves for at most 24 h, after which `candidates` rejects with TOKEN_VERIFICATION_FAILED.
 * Keys of the set that cannot be used are left out. Throws an Error for a URL that may not be fetched.
 */
export function remoteKeys(url: string, algorithms: readonly string[], deps: RemoteKeysDeps): TokenKeys {
  const target = checkUrl(url);
  const { clock, log, fetch = globalThis.fetch } = deps;
  let good: { readonly keys: readonly TokenKey[]; readonly at: number } | null = null;
  let inFlight: Promise<void> | null = null;
  let failures = 0;
  let lastAttempt = Number.NEGATIVE_INFINITY;
  let lastUnknownKid = Number.NEGATIVE_INFINITY;

  async function load(): Promise<void> {
    lastAttempt = clock.monotonic();
    try {
      good = { keys: await fetchKeys(target, algorithms, fetch, log), at: clock.monotonic() };
      failures = 0;
    } catch (error) {
      failures += 1;
      log.warn({ url: target.href, failures, reason: reasonOf(error) }, 'key set could not be fetched');
    }
  }

  /** Joins the request in flight; never rejects. */
  function refresh(): Promise<void> {
    inFlight ??= load().finally(() => {
      inFlight = null;
    });
    return inFlight;
  }

  function mayRetry(now: number): boolean {
    if (failures === 0) return true;
    return now - lastAttempt >= Math.min(RETRY_MS.first * 2 ** (failures - 1), RETRY_MS.most);
  }

  /** The set that may serve at this moment. */
  function usable(now: number): readonly TokenKey[] | null {
    return good !== null && now - good.at < KEEP_MS ? good.keys : null;
  }

  async function current(): Promise<readonly TokenKey[]> {
    const now = clock.monotonic();
    if (usable(now) === null && (inFlight !== null || mayRetry(now))) await refresh();
    else if (good !== null && now - good.at >= FRESH_MS && mayRetry(now)) void refresh();
    const keys = usable(clock.monotonic());
    if (keys !== null) return keys;
    throw new GatewayError(
      'TOKEN_VERIFICATION_FAILED',
      'the keys of the issuer of this token are unavailable at the moment; try again later',
      { details: { reason: 'keys unavailable' } },
    );
  }

  return {
    async candidates(header) {
      const keys = await current();
      if (knows(keys, header.kid)) return select(keys, header);
      const now = clock.monotonic();
      if (now - lastUnknownKid < UNKNOWN_KID_MS) {
        // Somebody else asks already: the answer may hold this kid too.
        if (inFlight === null) return select(keys, header);
      } else {
        lastUnknownKid = now;
      }
      await refresh();
      return select(await current(), header);
    },
  };
}

/** Whether a set can say something about this `kid` without being fetched again. */
function knows(keys: readonly TokenKey[], kid: string | undefined): boolean {
  return kid === undefined || keys.some((key) => key.kid === kid);
}

/** Keys of the header's algorithm: those of its `kid` first, then those without one; all when it names none. */
function select(
  keys: readonly TokenKey[],
  header: { readonly alg: string; readonly kid?: string | undefined },
): readonly KeyObject[] {
  const type = TYPE_OF_ALGORITHM.get(header.alg);
  const fitting = keys.filter((key) => key.type === type);
  const named = fitting.filter((key) => key.kid === header.kid);
  const unnamed = fitting.filter((key) => key.kid === null);
  const ordered = header.kid === undefined ? fitting : [...named, ...unnamed];
  return ordered.slice(0, MAX_CANDIDATES).map((key) => key.key);
}

async function fetchKeys(
  url: URL,
  algorithms: readonly string[],
  fetch: typeof globalThis.fetch,
  log: Log,
): Promise<readonly TokenKey[]> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}, expected 200; redirects are not followed`);
  }
  const document: unknown = JSON.parse(await readLimited(response));
  const keys = readKeys(document, algorithms, (index, reason) => {
    log.debug({ url: url.href, index, reason }, 'key of a key set left out');
  });
  if (keys.length === 0) throw new Error('no usable key');
  return keys;
}

/** The decoded body as text; a compressed one counts by what it becomes. */
async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the body.
    if (size > MAX_DOCUMENT_BYTES) throw new Error(`larger than ${MAX_DOCUMENT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}

function checkUrl(text: string): URL {
  if (!URL.canParse(text)) throw new Error('not an absolute URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw new Error('a URL with a user or password');
  if (url.protocol === 'https:') return url;
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && loopback) return url;
  throw new Error('not https; plain http is allowed to a loopback address alone');
}

/** The usable keys of a JWKS; `problem` hears of each that is not. Throws when it is no JWKS at all. */
function readKeys(
  jwks: unknown,
  algorithms: readonly string[],
  problem: (index: number, reason: string) => void,
): TokenKey[] {
  const wanted = new Set(algorithms.map((algorithm) => TYPE_OF_ALGORITHM.get(algorithm)));
  const keys: TokenKey[] = [];
  for (const [index, jwk] of listOf(jwks).entries()) {
    if (isObject(jwk) && jwk.use === 'enc') continue;
    let key: TokenKey;
    try {
      key = readKey(jwk);
    } catch (error) {
      problem(index, reasonOf(error));
      continue;
    }
    if (wanted.has(key.type)) keys.push(key);
    else problem(index, `${key.type} fits none of the algorithms ${algorithms.join(', ')}`);
  }
  return keys;
}

function listOf(jwks: unknown): readonly unknown[] {
  const keys = isObject(jwks) ? jwks.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('not a JWKS: an object with a list "keys"');
  if (keys.length > MAX_KEYS) throw new Error(`keys: ${keys.length} keys, at most ${MAX_KEYS} allowed`);
  return keys;
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

function readKey(jwk: unknown): TokenKey {
  if (!isObject(jwk)) throw new Error('not a JSON object');
  const secret = PRIVATE_MEMBERS.find((name) => Object.hasOwn(jwk, name));
  if (secret !== undefined)
    throw new Error(`holds the private member "${secret}"; publish the public key alone`);
  const { kty, crv, kid, use, key_ops } = jwk;
  if (kty === 'OKP') return { ...ed25519FromJwk(jwk), type: 'Ed25519' };
  if (kid !== undefined && typeof kid !== 'string') throw new Error('kid is not a string');
  if (use !== undefined && use !== 'sig') throw new Error('use is not "sig"');
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))) {
    throw new Error('key_ops has no "verify"');
  }
  const named = { kid: kid ?? null };
  if (kty === 'RSA') return { ...named, type: 'RSA', key: readRsa(jwk) };
  if (kty === 'EC' && crv === 'P-256') return { ...named, type: 'P-256', key: readEc(jwk) };
  throw new Error('neither an Ed25519, nor an RSA, nor a P-256 key');
}

function readRsa(jwk: Fields): KeyObject {
  checkAlg(jwk, 'RS256');
  const { n, e } = jwk;
  if (typeof n !== 'string' || typeof e !== 'string') throw new Error('n and e are not both strings');
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < RSA_BITS.min || modulusLength > RSA_BITS.max) {
    throw new Error(`an RSA key of ${modulusLength} bits, ${RSA_BITS.min} to ${RSA_BITS.max} allowed`);
  }
  // With e = 1 every message is its own signature.
  if (publicExponent < 3n || publicExponent % 2n === 0n)
    throw new Error('an RSA exponent that is not odd and over 1');
  return key;
}

function readEc(jwk: Fields): KeyObject {
  checkAlg(jwk, 'ES256');
  const { x, y } = jwk;
  if (typeof x !== 'string' || typeof y !== 'string') throw new Error('x and y are not both strings');
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch (cause) {
    throw new Error('not a point on the curve P-256', { cause });
  }
}

function checkAlg(jwk: Fields, expected: string): void {
  if (jwk.alg !== undefined && jwk.alg !== expected) throw new Error(`alg is not "${expected}"`);
}

type Fields = { readonly [key: string]: unknown };

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
