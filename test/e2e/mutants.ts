/** Ways to spoil an envelope: its bytes, its JSON, its types, its encoding, its headers. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { SealEnvelope } from '../../src/client.ts';

/** What is sent in place of a good envelope. */
export interface Mutant {
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How to spoil an envelope; `other` is a second good one. */
export type Mutation = (envelope: SealEnvelope, other: SealEnvelope) => Mutant;

const nat = fc.nat({ max: 1_000_000 });

const bytes: fc.Arbitrary<Mutation> = fc
  .array(
    fc.record({
      at: nat,
      how: fc.constantFrom('flip', 'put', 'insert', 'remove'),
      // Mostly ASCII: what is no UTF-8 is refused before anything else is looked at.
      byte: fc.oneof(
        { weight: 9, arbitrary: fc.nat({ max: 127 }) },
        { weight: 1, arbitrary: fc.nat({ max: 255 }) },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((edits) => (envelope) => {
    const body = [...Buffer.from(JSON.stringify(envelope))];
    for (const { at, how, byte } of edits) {
      const place = at % body.length;
      if (how === 'flip') body[place]! ^= 1 << (byte % 7);
      else body.splice(place, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]));
    }
    return { body: Uint8Array.from(body) };
  });

/** JSON and what only looks like it. */
const wild: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.json({ maxDepth: 3 }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...['null', 'true', '""', '[]', '{}', '0', '-0', '1e999', '-1', '1.50', '00', 'NaN', '0x1', "'x'"],
      ...['12345678901234567890', '1e-400', '"\\ud800"', '"\\u0000"', '"\\x41"', '"\u2028"', '"\u0000"'],
      ...['{"__proto__":{"a":1}}', '{"constructor":{"prototype":null}}', '{"toString":1}', '[,]', '{"a":1,}'],
      ...['"seal/v1"', '"2026-02-30T00:00:00Z"', '253402300800', '{"$ref":"#"}', '"{{input.email}}"'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...[63, 64, 65, 20_000].map((n) => '['.repeat(n) + ']'.repeat(n))),
  },
  { weight: 1, arbitrary: fc.constantFrom(...[64, 10_000].map((n) => '{"a":'.repeat(n))) },
  { weight: 1, arbitrary: fc.constantFrom(...[16_385, 60_000, 70_000].map((n) => `"${'x'.repeat(n)}"`)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(`{${Array.from({ length: 5_000 }, (_, i) => `"${i}":0`).join(',')}}`),
  },
  {
    weight: 2,
    arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((text) => JSON.stringify(text)),
  },
);

const structure: fc.Arbitrary<Mutation> = fc
  .record({
    at: nat,
    how: fc.constantFrom('replace', 'remove', 'rename', 'repeat', 'add', 'wrap'),
    value: wild,
    key: fc.oneof(
      fc.constantFrom('payload', 'timestamp', 'name', 'arguments', 'envelope', '__proto__'),
      fc.string(),
    ),
  })
  .map(({ at, how, value, key }) => (envelope) => {
    const body = withMember(
      envelope,
      at,
      (name, written) =>
        ({
          replace: `${name}:${value}`,
          remove: '"":0',
          rename: `${JSON.stringify(key)}:${written}`,
          repeat: `${name}:${value},${name}:${written}`,
          add: `${JSON.stringify(key)}:${value},${name}:${written}`,
          wrap: `${name}:[${written}]`,
        })[how],
    );
    return { body: Buffer.from(body) };
  });

const exchanged: fc.Arbitrary<Mutation> = fc
  .constantFrom('security_token', 'signature', 'payload', 'timestamp', 'protocol')
  .map((field) => (envelope, other) => ({
    body: Buffer.from(JSON.stringify({ ...envelope, [field]: other[field as keyof SealEnvelope] })),
  }));

const encodings: readonly ((text: string) => Uint8Array)[] = [
  (text) => Buffer.from(text, 'utf16le'),
  (text) => Buffer.from(btoa(text)),
  (text) => gzipSync(text),
  ...['\ufeff', '\u00a0', '\0', '//', 'while(1);'].map(
    (before) => (text: string) => Buffer.from(before + text),
  ),
  ...['\0', ',', '}', '{}', '\n\n[]'].map((after) => (text: string) => Buffer.from(text + after)),
];

const encoded: fc.Arbitrary<Mutation> = fc
  .constantFrom(...encodings)
  .map((encode) => (envelope) => ({ body: encode(JSON.stringify(envelope)) }));

const cut: fc.Arbitrary<Mutation> = nat.map((length) => (envelope) => {
  const body = Buffer.from(JSON.stringify(envelope));
  return { body: body.subarray(0, length % body.length) };
});

const noise: fc.Arbitrary<Mutation> = fc.uint8Array({ maxLength: 200 }).map((body) => () => ({ body }));

const headers: fc.Arbitrary<Mutation> = fc
  .constantFrom<Record<string, string>>(
    { 'content-type': 'text/plain' },
    { 'content-type': 'multipart/form-data; boundary=x' },
    { 'content-type': 'application/json; charset=utf-16' },
    { 'content-encoding': 'gzip' },
    { 'content-encoding': 'identity' },
    { authorization: 'Bearer x' },
    { accept: 'text/html' },
    { 'x-http-method-override': 'DELETE' },
    { 'x-large': 'x'.repeat(20_000) },
  )
  .map((fields) => (envelope) => ({ body: Buffer.from(JSON.stringify(envelope)), headers: fields }));

/** One way to spoil an envelope, of many. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 5, arbitrary: bytes },
  { weight: 8, arbitrary: structure },
  { weight: 1, arbitrary: encoded },
  { weight: 1, arbitrary: cut },
  { weight: 1, arbitrary: noise },
  { weight: 1, arbitrary: exchanged },
  { weight: 1, arbitrary: headers },
);

const MARK = 'the member to spoil';

/** The envelope as JSON, with one of its members, at any depth, written as `spoil` has it. */
function withMember(
  envelope: SealEnvelope,
  at: number,
  spoil: (name: string, value: string) => string,
): string {
  const members: { name: string; value: string }[] = [];
  const write = (place: number): string =>
    JSON.stringify(envelope, (key, value: unknown) => {
      // The whole has no key, and no list is in it.
      if (key === '') return value;
      members.push({ name: JSON.stringify(key), value: JSON.stringify(value) });
      return members.length - 1 === place ? MARK : value;
    });
  write(-1);
  const place = at % members.splice(0).length;
  const text = write(place);
  const { name, value } = members[place]!;
  return text.replace(`${name}:"${MARK}"`, () => spoil(name, value));
}
