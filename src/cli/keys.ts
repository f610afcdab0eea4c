/** Development keys on disk: private JWKs in files that only their owner may read. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { CliError } from './output.ts';

/** An Ed25519 private JWK as this program writes it. */
export interface PrivateJwk extends JWK {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly d: string;
  readonly kid: string;
}

/** Where `init`, `token` and `call` look unless told otherwise. */
export const KEY_DIR = '.seal';
export const ISSUER_KEY = `${KEY_DIR}/issuer.jwk.json`;
export const AGENT_KEY = `${KEY_DIR}/agent.jwk.json`;

/** A new Ed25519 key pair. */
export async function newKey(kid: string): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair('Ed25519', { extractable: true });
  const { x, d } = await exportJWK(privateKey);
  return { kty: 'OKP', crv: 'Ed25519', x: x ?? '', d: d ?? '', kid };
}

/** The public half, as it may stand in a manifest. */
export function publicHalf({ kty, crv, x, kid }: PrivateJwk): JWK {
  return { kty, crv, x, kid };
}

/** Writes a private key, mode 0600; refuses to replace a file. */
export function writeKey(file: string, key: PrivateJwk): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(file, error);
  }
  try {
    writeFileSync(file, `${JSON.stringify(key)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(file, error);
    throw new CliError(
      `${file} exists; a key is never overwritten. Name another file, or remove this one yourself.`,
    );
  }
}

function unwritable(file: string, error: unknown): CliError {
  return new CliError(`${file} cannot be written: ${(error as Error).message}`);
}

/** Reads a private key; refuses one that others may read. */
export function readKey(file: string, purpose: string): PrivateJwk {
  const key = parse(readPrivate(file, purpose)) as Partial<PrivateJwk> | null;
  if (key?.kty !== 'OKP' || key.crv !== 'Ed25519' || !isBytes32(key.d) || !isBytes32(key.x)) {
    throw new CliError(`${file} is not an Ed25519 private JWK, as keygen writes it`);
  }
  return { ...key, kid: key.kid ?? 'key' } as PrivateJwk;
}

function readPrivate(file: string, purpose: string): string {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new CliError(`${file}: others may read this private key; chmod 600 ${file}`);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new CliError(`${file} cannot be read: ${(error as Error).message}`);
    }
    throw new CliError(
      `no ${purpose} at ${file}: make one with "seal-gateway keygen --out ${file}", or "seal-gateway init"`,
    );
  }
}

/** 32 bytes as base64url. */
function isBytes32(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
