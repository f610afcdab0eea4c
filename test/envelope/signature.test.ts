import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { importEnvelopeKey } from '../../src/envelope/keys.ts';
import { parseEnvelope } from '../../src/envelope/parse.ts';
import { verifySignature } from '../../src/envelope/signature.ts';
import { GatewayError } from '../../src/errors.ts';
import { envelopeText, failureOf, newSigner, type Signer, signedText } from './signing.ts';

const file = new URL('../vectors/ed25519.json', import.meta.url);
const { rfc8032, edge } = JSON.parse(readFileSync(file, 'utf8')) as {
  rfc8032: { name: string; public_key: string; message: string; signature: string }[];
  edge: {
    public_key: string;
    message: string;
    signatures: { name: string; signature: string; valid: boolean }[];
  };
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

/** What verifySignature needs of an envelope. */
function signed(message: Uint8Array, signature: Uint8Array) {
  return {
    signature,
    *messages() {
      yield message;
    },
  };
}

async function fits(message: Uint8Array, signature: Uint8Array, public_key: string): Promise<boolean> {
  try {
    await verifySignature(signed(message, signature), [importEnvelopeKey(bytes(public_key))]);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'INVALID_SIGNATURE', layer: 'signature' });
    return false;
  }
}

describe('Ed25519', () => {
  test.each(rfc8032)('RFC 8032 $name', async ({ public_key, message, signature }) => {
    expect(await fits(bytes(message), bytes(signature), public_key)).toBe(true);
    expect(await fits(bytes(`${message}00`), bytes(signature), public_key)).toBe(false);
  });

  test.each(edge.signatures)('$name: $valid', async ({ signature, valid }) => {
    expect(await fits(bytes(edge.message), bytes(signature), edge.public_key)).toBe(valid);
  });

  test('every single flipped bit of a signature is noticed', async () => {
    const good = bytes(edge.signatures[0]!.signature);
    const verdicts = await Promise.all(
      Array.from({ length: 512 }, (_, bit) => {
        const flipped = good.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        return fits(bytes(edge.message), flipped, edge.public_key);
      }),
    );
    expect(verdicts).not.toContain(true);
  });

  test.each([0, 1, 32, 63, 65, 128])('%d bytes are no signature', async (length) => {
    const signature = new Uint8Array(length).fill(7);
    signature.set(bytes(edge.signatures[0]!.signature).slice(0, length));
    expect(await fits(bytes(edge.message), signature, edge.public_key)).toBe(false);
  });
});

describe('keys and readings', () => {
  const sorted = '{"arguments":{"a":1,"b":2},"tool":"t"}';

  test('gives the key that fits, wherever it stands among four', async () => {
    const signers = Array.from({ length: 4 }, (_, i) => newSigner(`k${i}`));
    const keys = signers.map((signer) => signer.key);
    for (const signer of signers) {
      expect(await verifySignature(parseEnvelope(envelopeText(signer, sorted)), keys)).toBe(signer.key);
    }
  });

  test('tries four keys at most', async () => {
    const signers = Array.from({ length: 5 }, () => newSigner());
    const envelope = parseEnvelope(envelopeText(signers[4]!, sorted));
    const error = await failureOf(() =>
      verifySignature(
        envelope,
        signers.map((signer) => signer.key),
      ),
    );
    expect(error).toMatchObject({ name: 'INVALID_SIGNATURE' });
  });

  test('no key at all', async () => {
    const envelope = parseEnvelope(envelopeText(newSigner(), sorted));
    expect(await failureOf(() => verifySignature(envelope, []))).toMatchObject({ name: 'INVALID_SIGNATURE' });
  });

  const sent = '{"tool":"t","arguments":{"\ufb33":2,"😀":1}}';
  test.each([
    ['code point', '{"arguments":{"\ufb33":2,"😀":1},"tool":"t"}'],
    ['UTF-16 unit', '{"arguments":{"😀":1,"\ufb33":2},"tool":"t"}'],
    ['the order sent', sent],
  ])('accepts the payload signed by %s', async (_, canonical) => {
    const signer = newSigner();
    const envelope = parseEnvelope(envelopeText(signer, sent, canonical));
    expect(await verifySignature(envelope, [newSigner().key, signer.key])).toBe(signer.key);
  });

  test.each([
    ['an order of nobody', '{"tool":"t","arguments":{"😀":1,"\ufb33":2}}'],
    ['white space', '{"arguments": {"\ufb33":2,"😀":1},"tool":"t"}'],
    ['ASCII escapes', '{"arguments":{"\\ufb33":2,"\\ud83d\\ude00":1},"tool":"t"}'],
    ['another number', '{"arguments":{"\ufb33":2.0,"😀":1},"tool":"t"}'],
  ])('refuses the payload signed with %s', async (_, canonical) => {
    const signer = newSigner();
    const envelope = parseEnvelope(envelopeText(signer, sent, canonical));
    expect(await failureOf(() => verifySignature(envelope, [signer.key]))).toMatchObject({
      name: 'INVALID_SIGNATURE',
    });
  });

  test('reads lazily: a good canonical message makes no other reading', async () => {
    const signer = newSigner();
    const real = parseEnvelope(envelopeText(signer, sent, '{"arguments":{"\ufb33":2,"😀":1},"tool":"t"}'));
    let asked = 0;
    const counting = {
      signature: real.signature,
      *messages() {
        for (const message of real.messages()) {
          asked += 1;
          yield message;
        }
      },
    };
    await verifySignature(counting, [signer.key]);
    expect(asked).toBe(1);
  });
});

describe('tampering', () => {
  const payload =
    '{"id":"req-1","jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"list":[1,true,null],"path":"/a"},"name":"demo.tool"}}';
  const signer = newSigner();
  const text = envelopeText(signer, payload);

  async function verdict(body: string, by: Signer = signer): Promise<string> {
    try {
      await verifySignature(parseEnvelope(body), [by.key]);
      return 'accepted';
    } catch (error) {
      if (error instanceof GatewayError) return error.name;
      throw error;
    }
  }

  test('untouched it passes, for its own key alone', async () => {
    expect(await verdict(text)).toBe('accepted');
    expect(await verdict(text, newSigner())).toBe('INVALID_SIGNATURE');
  });

  test.each([
    ['id', '"req-1"', '"req-2"'],
    ['type of the id', '"req-1"', '1'],
    ['method', 'tools/call', 'tools/list'],
    ['name', 'demo.tool', 'demo.tools'],
    ['argument', '"/a"', '"/b"'],
    ['argument key', '"path"', '"Path"'],
    ['order of a list', '[1,true,null]', '[true,1,null]'],
    ['spelling of a number', '[1,', '[1.0,'],
    ['added argument', '"path":"/a"', '"path":"/a","x":1'],
    ['dropped argument', ',"path":"/a"', ''],
    ['null for absent', '"path":"/a"', '"path":null'],
    ['added payload field', '"jsonrpc":"2.0"', '"jsonrpc":"2.0","extra":0'],
    ['security token', 'c2ln"', 'c2lo"'],
    ['timestamp', '1771338722', '1771338723'],
  ])('%s', async (_, from, to) => {
    expect(text).toContain(from);
    expect(await verdict(text.replace(from, to))).toBe('INVALID_SIGNATURE');
  });

  test('unsigned outer fields do not matter', async () => {
    expect(await verdict(`{"jti":"x",${text.slice(1)}`)).toBe('accepted');
    expect(await verdict(`{"envelope":${text}}`)).toBe('accepted');
  });

  test('property: flipping any bit of any signed byte is never accepted as the same call', async () => {
    const message = Buffer.from(signedText(payload));
    const signature = parseEnvelope(text).signature;
    await fc.assert(
      fc.asyncProperty(fc.nat(message.length - 1), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(message);
        flipped[at]! ^= 1 << bit;
        const error = await failureOf(() => verifySignature(signed(flipped, signature), [signer.key]));
        expect(error).toMatchObject({ name: 'INVALID_SIGNATURE' });
      }),
      { numRuns: 300 },
    );
  });

  test('property: a flipped bit anywhere in the body rejects, or changes no signed value', async () => {
    const { digest } = parseEnvelope(text);
    const body = Buffer.from(text);
    await fc.assert(
      fc.asyncProperty(fc.nat(body.length - 1), fc.nat(6), async (at, bit) => {
        const flipped = Buffer.from(body);
        flipped[at]! ^= 1 << bit;
        const outcome = await verdict(flipped.toString('latin1'));
        if (outcome === 'accepted') expect(parseEnvelope(flipped.toString('latin1')).digest).toBe(digest);
        else expect(['INVALID_SIGNATURE', 'MALFORMED_ENVELOPE']).toContain(outcome);
      }),
      { numRuns: 500 },
    );
  });

  test('property: what any client signs is accepted, whatever the spelling of the body', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
        fc.nat(4),
        async (args, indent) => {
          const spelt = JSON.stringify({ tool: 't', arguments: args }, null, indent);
          // Lone surrogates are refused elsewhere.
          fc.pre(!/\\ud[89a-f]/i.test(spelt));
          expect(await verdict(envelopeText(signer, spelt, entries(JSON.parse(spelt))))).toBe('accepted');
        },
      ),
    );
  });
});

/** Canonical JSON the plain way, by UTF-16 unit, for comparison. */
function entries(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(entries).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const parts = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${entries(inner)}`);
  return `{${parts.join(',')}}`;
}
