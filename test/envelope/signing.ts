/** Envelopes and keys for tests, signed by Node itself, so that no code under test vouches for itself. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import type { EnvelopeKey } from '../../src/snapshot/snapshot.ts';

/** Whole Unix seconds of every test envelope, and the same in milliseconds. */
export const NOW = 1_771_338_722;
export const NOW_MS = NOW * 1000;
export const TOKEN = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln';

export interface Signer {
  readonly private_key: KeyObject;
  readonly jwk: Record<string, unknown>;
  readonly key: EnvelopeKey;
}

export function newSigner(kid?: string): Signer {
  const pair = generateKeyPairSync('ed25519');
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }), ...(kid !== undefined && { kid }) };
  return { private_key: pair.privateKey, jwk, key: importEnvelopeKey(jwk) };
}

/** The text of an envelope: `payload` goes out as given, `canonical` (JSON text of the payload) is what is signed. */
export function envelopeText(signer: Signer, payload: string, canonical = payload): string {
  const signature = signText(signer, signedText(canonical));
  return `{"protocol":"seal/v1","security_token":"${TOKEN}","signature":"${signature}","payload":${payload},"timestamp":${NOW}}`;
}

/** The message around a canonical payload. */
export function signedText(canonicalPayload: string): string {
  return `{"payload":${canonicalPayload},"security_token":"${TOKEN}","timestamp":${NOW}}`;
}

export function signText(signer: Signer, text: string): string {
  return sign(null, Buffer.from(text, 'utf8'), signer.private_key).toString('base64');
}

/** The error that a function throws or rejects with. */
export async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error('expected a failure');
}
