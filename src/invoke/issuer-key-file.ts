/**
 * Keys in a file: the first signs, all are believed, so that a new key is put first and the old one stays until its
 * tokens have expired.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { issueToken } from '../envelope/issue.ts';
import type { Log } from '../log.ts';
import { type IssuerKey, type IssuerKeys, issuerKey } from './issuer-key.ts';

interface Key extends IssuerKey {
  /** Private. */
  readonly key: KeyObject;
}

/** Milliseconds between two looks at the file. */
const LOOK_MS = 5_000;
const MAX_KEYS = 8;

/**
 * `file`: private keys as a JWK, a JWK set, or one in PEM (PKCS #8); nobody but its owner may read it. Throws an Error
 * that names the file and says what is wrong with it.
 */
export function keysInFile(
  file: string,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): IssuerKeys {
  let keys = readKeys(file);
  let seen = stampOf(file);
  let looked = clock.monotonic();

  /** A file that has gone bad leaves the keys as they are: a slip of the pen must not end every session. */
  const current = (): readonly Key[] => {
    if (clock.monotonic() - looked < LOOK_MS) return keys;
    looked = clock.monotonic();
    try {
      const stamp = stampOf(file);
      if (stamp === seen) return keys;
      seen = stamp;
      keys = readKeys(file);
      log.info({ file, kids: keys.map(({ kid }) => kid) }, 'the keys of the issuer were read again');
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'the keys of the issuer stay as they were');
    }
    return keys;
  };

  return {
    believed: async () => current(),
    async issue(claims) {
      const { kid, key } = current()[0]!;
      return issueToken(claims, { kid, sign: (input) => signWith(key, input) });
    },
  };
}

/** In the thread pool, off the event loop. */
function signWith(key: KeyObject, input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(null, input, key, (error, signature) => (error === null ? resolve(signature) : reject(error)));
  });
}

function stampOf(file: string): string {
  const { mtimeMs, ino, size } = statSync(file);
  return `${mtimeMs} ${ino} ${size}`;
}

function readKeys(file: string): readonly Key[] {
  const fault = (what: string): Error => new Error(`${file}: ${what}`);
  let text: string;
  try {
    if ((statSync(file).mode & 0o077) !== 0)
      throw fault(`others may read this private key; chmod 600 ${file}`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw fault(
      `cannot be read (${(error as NodeJS.ErrnoException).code}); make one with "seal-gateway keygen --out ${file}"`,
    );
  }
  const sources = sourcesOf(text);
  if (sources === null) throw fault('holds neither a JWK, nor a JWK set, nor a key in PEM (PKCS #8)');
  if (sources.length === 0 || sources.length > MAX_KEYS)
    throw fault(`holds ${sources.length} keys; 1 to ${MAX_KEYS} are good`);
  const keys = sources.map((source, index) => {
    try {
      return keyOf(source);
    } catch (error) {
      throw fault(`key ${index + 1} is no Ed25519 private key: ${(error as Error).message}`);
    }
  });
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw fault('two keys have one "kid"');
  return keys;
}

type Source = string | Readonly<Record<string, unknown>>;

function sourcesOf(text: string): readonly Source[] | null {
  if (text.includes('-----BEGIN PRIVATE KEY-----')) return [text];
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    const keys: unknown = 'keys' in value ? value.keys : [value];
    return Array.isArray(keys) && keys.every((key) => typeof key === 'object' && key !== null) ? keys : null;
  } catch {
    return null;
  }
}

/** Node's own errors may quote the key: none of them is passed on. */
function keyOf(source: Source): Key {
  const jwk = typeof source === 'string' ? null : source;
  if (jwk !== null && (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || typeof jwk.d !== 'string'))
    throw new Error('expected kty "OKP", crv "Ed25519", and "d"');
  if (jwk?.kid !== undefined && (typeof jwk.kid !== 'string' || jwk.kid === '' || jwk.kid.length > 256))
    throw new Error('kid is not a text of 1 to 256 characters');
  let key: KeyObject;
  try {
    key = createPrivateKey(typeof source === 'string' ? source : { key: source, format: 'jwk' });
  } catch {
    throw new Error('it cannot be read');
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is of type ${key.asymmetricKeyType}`);
  const { x } = createPublicKey(key).export({ format: 'jwk' }) as { readonly x: string };
  if (jwk !== null && jwk.x !== undefined && jwk.x !== x)
    throw new Error('"x" is not the public half of "d"');
  return { ...issuerKey(x, jwk?.kid as string | undefined), key };
}
