/**
 * Issuers of security tokens and agents that sign envelopes, good or spoiled at any place. Signed by Node itself, so
 * that no code under test vouches for itself.
 */
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

export interface Key {
  readonly private_key: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** A new Ed25519 key. */
export function newKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { private_key: privateKey, jwk: publicKey.export({ format: 'jwk' }) };
}

type Claims = { [claim: string]: unknown };

/** All that goes into one call. Whatever a test changes before {@link seal} is signed as it is then. */
export interface Draft {
  readonly claims: Claims;
  token_header: Readonly<Record<string, unknown>>;
  token_key: Key;
  payload: Readonly<Record<string, unknown>>;
  /** Unix seconds. */
  timestamp: number;
  envelope_key: Key;
}

export interface Envelope {
  readonly protocol: string;
  readonly security_token: string;
  readonly signature: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly timestamp: number | string;
}

export interface Caller {
  readonly iss: string;
  readonly issuer_key: Key;
  readonly agent_key: Key;
}

/** A call of `tool` that nothing is wrong with, with a token of its own. */
export function draftCall(caller: Caller, tool: string, args: Readonly<Record<string, unknown>> = {}): Draft {
  const now = unixNow();
  return {
    claims: {
      iss: caller.iss,
      aud: 'seal-gateway',
      sub: 'agent-7',
      jti: randomUUID(),
      iat: now,
      exp: now + 300,
      scp: 'main',
    },
    token_header: { alg: 'EdDSA' },
    token_key: caller.issuer_key,
    payload: callPayload(tool, args),
    timestamp: now,
    envelope_key: caller.agent_key,
  };
}

/** The MCP form of a call, with a request id of its own. */
export function callPayload(
  tool: string,
  args: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    jsonrpc: '2.0',
    id: `req-${randomUUID()}`,
    method: 'tools/call',
    params: { name: tool, arguments: args },
  };
}

/** Signs the token, then the envelope. */
export function seal(draft: Draft): Envelope {
  const { payload, timestamp } = draft;
  const security_token = signToken(draft);
  return {
    protocol: 'seal/v1',
    security_token,
    signature: signText(canonical({ payload, security_token, timestamp }), draft.envelope_key),
    payload,
    timestamp,
  };
}

export function signToken({ claims, token_header, token_key }: Draft): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(token_header)}.${part(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), token_key.private_key).toString('base64url')}`;
}

/** The signature over this text, as base64. */
export function signText(text: string, key: Key): string {
  return sign(null, Buffer.from(text), key.private_key).toString('base64');
}

export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** Keys sorted at every depth; for keys of ASCII alone, whose order is the same by code point and by UTF-16 unit. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
