/** The worked example of docs/signing.md, against the code and against the scripts of the page. */
import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createEnvelope, publicJwk } from '../../src/client.ts';
import { checkFreshness, FRESHNESS_SECONDS } from '../../src/envelope/freshness.ts';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { MAX_TOKEN_LENGTH, parseEnvelope } from '../../src/envelope/parse.ts';
import { MAX_CANDIDATE_KEYS, verifySignature } from '../../src/envelope/signature.ts';
import { readToken, verifyToken } from '../../src/envelope/token.ts';
import { readText } from './page.ts';

const page = readText('docs/signing.md');
const [body = ''] = blocks('json');
const [message = '', digest = ''] = blocks('text');
const [seed = '', publicKey = '', issuerKey = ''] = [...page.matchAll(/base64url \| `([^`]+)` \|/g)].map(
  ([, key = '']) => key,
);
const envelope = JSON.parse(body);
const now = Date.parse(envelope.timestamp);

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)\n\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  );
}

function jwk(x: string) {
  return { kty: 'OKP', crv: 'Ed25519', x };
}

test('the gateway accepts the envelope, and signs for the message of the page', async () => {
  const parsed = parseEnvelope(body);
  checkFreshness(parsed, now);
  await verifySignature(parsed, [importEnvelopeKey(jwk(publicKey))]);
  expect(Buffer.from([...parsed.messages()][0]!).toString()).toBe(message);
  expect(parsed.digest).toBe(digest);
  expect(createHash('sha256').update(message).digest('hex')).toBe(digest);
});

test('the token is one, with the claims that the page explains', async () => {
  const key: KeyObject = createPublicKey({ key: jwk(issuerKey), format: 'jwk' });
  const identity = await verifyToken(
    readToken(envelope.security_token),
    {
      name: 'example',
      tenant: null,
      issuer: 'https://issuer.example',
      audience: ['seal-gateway'],
      algorithms: ['EdDSA', 'Ed25519'],
      keys: { candidates: async () => [key] },
      envelope_keys: [],
      replay: 'token',
      sessions_only: false,
      default_security_context: null,
      allowed_tenants: null,
      allowed_security_contexts: null,
      max_token_ttl_seconds: 3600,
    },
    now,
  );
  expect(identity).toMatchObject({
    subject: 'billing-agent',
    security_context: 'billing-read',
    tool_patterns: null,
  });
});

test('the client library makes the same envelope', async () => {
  expect(await publicJwk(seed)).toEqual(jwk(publicKey));
  const { payload, security_token } = envelope;
  expect(await createEnvelope({ payload, security_token, private_key: seed, now })).toEqual(envelope);
});

test('the limits of the page are those of the code', () => {
  expect(page).toContain(`At most ${FRESHNESS_SECONDS} s from`);
  expect(page).toContain(`a token ${MAX_TOKEN_LENGTH.toLocaleString('en')} characters`);
  expect(MAX_CANDIDATE_KEYS).toBe(4);
  expect(page).toContain('four at most');
});

describe('the scripts of the page sign the same', () => {
  const given = JSON.stringify({ ...envelope, signature: undefined });
  const hasCryptography = spawnSync('python3', ['-c', 'import cryptography']).status === 0;

  function signatureBy(program: string, args: readonly string[]): string {
    const { stdout, stderr, status } = spawnSync(program, args, { input: given, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout).signature;
  }

  test('in JavaScript', () => {
    const [script = ''] = blocks('js');
    expect(signatureBy(process.execPath, ['--input-type=module', '-e', script])).toBe(envelope.signature);
  });

  test.skipIf(!hasCryptography)('in Python (SKIPPED without python3 and its cryptography)', () => {
    const [script = ''] = blocks('python');
    expect(signatureBy('python3', ['-c', script])).toBe(envelope.signature);
  });
});
