import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkFreshness } from '../../src/envelope/freshness.ts';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { decodeBody, parseEnvelope } from '../../src/envelope/parse.ts';
import { verifySignature } from '../../src/envelope/signature.ts';
import { ERRORS, GatewayError } from '../../src/errors.ts';

interface Vector {
  readonly name: string;
  readonly body: string;
  readonly canonical?: string;
  readonly timestamp_unix: number;
  readonly expect: 'ok' | number;
}

const file = new URL('../vectors/envelopes.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { public_key_hex: string; cases: Vector[] };
const key = importEnvelopeKey(new Uint8Array(Buffer.from(vectors.public_key_hex, 'hex')));

async function judge(vector: Vector): Promise<'ok' | number> {
  try {
    const envelope = parseEnvelope(decodeBody(Buffer.from(vector.body, 'utf8')));
    checkFreshness(envelope, vector.timestamp_unix * 1000);
    await verifySignature(envelope, [key]);
    return 'ok';
  } catch (error) {
    if (error instanceof GatewayError) return ERRORS[error.name].code;
    throw error;
  }
}

describe('seal/v1 vectors', () => {
  test('there are enough of them', () => {
    expect(vectors.cases.length).toBeGreaterThanOrEqual(50);
    expect(new Set(vectors.cases.map((vector) => vector.expect))).toEqual(new Set(['ok', 1000, 1001]));
  });

  test.each(vectors.cases)('$name gives $expect', async (vector) => {
    expect(await judge(vector)).toBe(vector.expect);
  });

  test.each(vectors.cases.filter((vector) => vector.canonical !== undefined))(
    '$name: one reading is the text that was signed',
    ({ body, canonical }) => {
      const readings = [...parseEnvelope(body).messages()].map((message) => Buffer.from(message).toString());
      expect(readings).toContain(canonical);
      expect(new Set(readings).size).toBe(readings.length);
    },
  );
});
