/**
 * Nothing that lets somebody call in another's name is written down: no private key, no signature of a token, and in
 * logs and replies no signature of an envelope either, whatever is sent and however much is logged.
 */
import type { JsonWebKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Draft, draftCall, type Envelope, type Key, newKey, seal, unixNow } from '../support/caller.ts';
import { goodCall, startWorld, type World } from './world.ts';

interface Secret {
  readonly what: string;
  readonly text: string;
}

const log: string[] = [];
const replies: string[] = [];
const secrets: Secret[] = [];
let world: World;

beforeAll(async () => {
  const lines = { write: (line: string) => void log.push(line) };
  world = await startWorld({ log: pino({ level: 'debug' }, lines) });
  secrets.push(...privateKeys());
  const envelopes = calls().map(noted);
  const one = noted(seal(goodCall(world)));
  for (const body of [...envelopes, ...misplaced(one), ...broken(one), one]) {
    replies.push(await say('POST', '/v1/invoke', body));
  }
  for (const token of bearers()) replies.push(await say('GET', '/v1/tools', undefined, `Bearer ${token}`));
  await world.gateway.restart();
});
afterAll(() => world.close());

test('the calls were of every sort', () => {
  const statuses = new Set(replies.map((reply) => reply.slice(0, 3)));
  expect([...statuses].sort()).toEqual(['200', '400', '401', '403', '404', '413', '502', '503', '504']);
  expect(log.join('')).toContain('did not answer within 200 ms');
  expect(replies.filter((reply) => reply.startsWith('200')).length).toBeGreaterThan(1);
  expect(secrets.length).toBeGreaterThan(100);
});

test('not in the log', () => {
  expect(found(log.join(''))).toEqual([]);
});

test('not in a reply', () => {
  expect(found(replies.join('\n'))).toEqual([]);
});

test('not in the trail, save for the envelopes that it proves', async () => {
  const events = await world.gateway.trail.query({ limit: 10_000 });
  const texts = events.map(({ event_type, payload }) => {
    const { signature, ...rest } = payload;
    return JSON.stringify(event_type === 'ToolCallAuthorized' ? rest : payload);
  });
  expect(found(texts.join('\n'))).toEqual([]);
});

test('not in a file of the store', () => {
  const dir = dirname(world.gateway.database);
  const files = readdirSync(dir).map((name) => readFileSync(join(dir, name), 'latin1'));
  const kept = secrets.filter(({ what }) => what !== 'the signature of an envelope');
  expect(found(files.join('\n'), kept)).toEqual([]);
  // The envelopes that were authorized are there: so the search finds what there is.
  expect(found(files.join('\n'))).not.toEqual([]);
});

/** Calls that are answered in every way, each well formed. */
function calls(): Envelope[] {
  const { main, keyless } = world.callers;
  const tools = [
    ...['plain.ok', 'plain.denied', 'plain.failing', 'plain.broken', 'plain.hasty', 'plain.locked'],
    ...['plain.walled', 'plain.large', 'plain.invalid', 'plain.cli', 'plain.nothing', 'file.read'],
  ];
  const spoils: ((draft: Draft) => unknown)[] = [
    (draft) => Object.assign(draft, { envelope_key: newKey() }),
    (draft) => Object.assign(draft, { token_key: newKey() }),
    (draft) => Object.assign(draft, { timestamp: unixNow() - 60 }),
    (draft) => Object.assign(draft, { payload: { tool: 'plain.ok', arguments: { nonsense: 1 } } }),
    ({ claims }) => Object.assign(claims, { exp: unixNow() - 60, iat: unixNow() - 120 }),
    ({ claims }) => Object.assign(claims, { aud: 'another' }),
    ({ claims }) => Object.assign(claims, { iss: 'https://nobody.invalid' }),
    ({ claims }) => Object.assign(claims, { jti: '' }),
    ({ claims }) => Object.assign(claims, { cnf: { jwk: privateJwk(main.agent_key) } }),
  ];
  const used = seal(goodCall(world));
  const spoiled = spoils.map((spoil) => {
    const draft = goodCall(world);
    spoil(draft);
    return seal(draft);
  });
  const drafts = [...tools.map((tool) => draftCall(main, tool)), draftCall(keyless, 'plain.ok')];
  return [...drafts.map(seal), ...spoiled, used, used];
}

/** Envelopes that hold secrets where they do not belong, and where a careless message would show them. */
function misplaced(envelope: Envelope): unknown[] {
  const { security_token, signature } = envelope;
  const key = privateJwk(world.callers.main.agent_key);
  const values = [security_token, signature, [security_token], key, null];
  return [
    ...Object.keys(envelope).flatMap((field) => values.map((value) => ({ ...envelope, [field]: value }))),
    { ...envelope, security_token: `${security_token}x` },
    { ...envelope, security_token: security_token.slice(0, -4) },
    { ...envelope, security_token: `Bearer ${security_token}` },
    { ...envelope, private_key: key },
    { ...envelope, padding: 'x'.repeat(2_000_000) },
  ];
}

/** Texts that are no JSON, or not such as an envelope may be. */
function broken(envelope: Envelope): string[] {
  const text = JSON.stringify(envelope);
  const { security_token } = envelope;
  return [
    text.slice(0, -2),
    text.slice(0, text.indexOf(security_token) + security_token.length),
    text.replace('{', `{"${security_token}":1,"${security_token}":2,`),
    security_token,
  ];
}

function privateJwk({ private_key }: Key): JsonWebKey {
  return private_key.export({ format: 'jwk' });
}

function bearers(): string[] {
  const { security_token } = noted(seal(goodCall(world)));
  const forged = goodCall(world);
  forged.token_key = newKey();
  return [security_token, noted(seal(forged)).security_token, `${security_token}x`, `${security_token} x`];
}

/** Remembers what of this envelope must not be seen again. */
function noted(envelope: Envelope): Envelope {
  const [, claims = '', signature = ''] = envelope.security_token.split('.');
  const bytes = Buffer.from(envelope.signature, 'base64');
  secrets.push(
    { what: 'the signature of a token', text: signature },
    { what: 'a token', text: claims },
    ...(['base64', 'base64url', 'hex'] as const).map((encoding) => ({
      what: 'the signature of an envelope',
      text: bytes.toString(encoding),
    })),
  );
  return envelope;
}

function privateKeys(): Secret[] {
  return Object.values(world.callers)
    .flatMap(({ issuer_key, agent_key }) => [issuer_key, agent_key])
    .map((key) => ({ what: 'a private key', text: privateJwk(key).d! }));
}

function found(text: string, among: readonly Secret[] = secrets): string[] {
  return among.flatMap(({ what, text: secret }) => {
    const at = text.indexOf(secret);
    return at === -1 ? [] : [`${what}: ...${text.slice(Math.max(0, at - 80), at + 20)}...`];
  });
}

/** Status and body of the answer. */
async function say(method: string, path: string, body: unknown, authorization?: string): Promise<string> {
  const response = await fetch(world.gateway.url() + path, {
    method,
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(authorization !== undefined && { headers: { authorization } }),
  });
  return `${response.status} ${await response.text()}`;
}
