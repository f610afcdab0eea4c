/** Keys, the issuer that vouches for them, and signed calls by the thousand: each has a token, and so a jti, of its own. */
import { generateKeyPairSync, type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { canonicalMessage, parseTokens } from '../../src/envelope/canonical.ts';

export const ISSUER = 'https://issuer.bench.invalid';
export const AUDIENCE = 'seal-gateway';
export const CONTEXT = 'bench';
export const TOOL = 'customer.find';

/** One Ed25519 key as JWKs: it can be sent to another process. */
export interface Key {
  readonly public_jwk: JsonWebKey;
  readonly private_jwk: JsonWebKey;
}

export function createKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    public_jwk: publicKey.export({ format: 'jwk' }),
    private_jwk: privateKey.export({ format: 'jwk' }),
  };
}

/** The body of one request: an MCP tools/call in a signed envelope. */
export function signedCall(issuer: KeyObject, agent: KeyObject, index: number, tenant?: string): string {
  const now = Math.floor(Date.now() / 1000);
  const token = signedToken(issuer, {
    aud: AUDIENCE,
    exp: now + 300,
    iat: now,
    iss: ISSUER,
    jti: randomUUID(),
    scp: CONTEXT,
    sub: 'bench-agent',
    ...(tenant !== undefined && { tenant_id: tenant }),
  });
  // Keys in canonical order, so that the floor need not sort them.
  const payload = {
    id: `req-${index}`,
    jsonrpc: '2.0',
    method: 'tools/call',
    params: { arguments: { email: `customer-${index}@example.com` }, name: TOOL },
  };
  const message = canonicalMessage(parseTokens(JSON.stringify(payload)).root, token, now, 'code_point');
  return JSON.stringify({
    protocol: 'seal/v1',
    security_token: token,
    signature: sign(null, Buffer.from(message), agent).toString('base64'),
    payload,
    timestamp: new Date(now * 1000).toISOString(),
  });
}

const HEADER = Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: 'bench-issuer', typ: 'JWT' })).toString(
  'base64url',
);

function signedToken(issuer: KeyObject, claims: Record<string, unknown>): string {
  const input = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${input}.${sign(null, Buffer.from(input), issuer).toString('base64url')}`;
}
