/** Laws of an import that is made again: on random manifests, edits by hand, and changes of the document. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { editManifest, writeYaml } from '../../../src/cli/import/edit-yaml.ts';
import { fieldsOf, readFingerprint, writeFingerprint } from '../../../src/cli/import/fingerprint.ts';
import { mergeManifest } from '../../../src/cli/import/merge.ts';

// biome-ignore lint/suspicious/noExplicitAny: manifests of every shape
type Json = Record<string, any>;

const word = fc.stringMatching(/^[a-c]{1,2}$/);
const text = fc.constantFrom('x', 'y: z', 'two\nlines', '# no comment', '{{input.a}}', "it's", 'ü', '');
const schema = fc.record(
  { type: fc.constantFrom('string', 'integer'), description: text },
  { requiredKeys: ['type'] },
);
const named = <T>(value: fc.Arbitrary<T>) => fc.dictionary(word, value, { minKeys: 1, maxKeys: 3 });

/** A manifest as the import makes them, without who it is. */
const manifest = fc
  .record(
    {
      description: text,
      tags: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
      annotations: fc.constantFrom({ read_only: true }, { destructive: true, idempotent: true }),
      properties: named(schema),
      query: named(text),
      body: fc.constantFrom('{{input.body}}'),
    },
    { requiredKeys: ['description', 'properties'] },
  )
  .map(({ description, tags, annotations, properties, query, body }): Json => {
    const step = { name: 'call', operation_id: 'x', ...(query && { query }), ...(body && { body }) };
    return {
      kind: 'ToolWorkflow',
      metadata: { name: 'a', annotations: { 'seal.gateway/import-state': '' } },
      spec: {
        description,
        ...(tags && { tags }),
        ...(annotations && { annotations }),
        input_schema: { type: 'object', additionalProperties: false, properties },
        steps: [step],
      },
    };
  });

const A = { kind: 'ToolWorkflow', tenant: null, name: 'a' } as const;

const again = (current: string, before: Json, next: Json) => {
  const remembered = readFingerprint(writeFingerprint(fieldsOf(before)));
  const merged = mergeManifest(parse(current), next, remembered);
  return { ...merged, text: editManifest(current, 'a.yaml', A, merged.edits) };
};
const sorted = (value: unknown) => JSON.parse(JSON.stringify(Object.fromEntries(fieldsOf(value))));

test('a manifest that nobody has edited becomes what the document says now', () => {
  fc.assert(
    fc.property(manifest, manifest, (before, next) => {
      const { text: now, kept, edited } = again(writeYaml(before), before, next);
      expect(sorted(parse(now))).toEqual(sorted(next));
      expect([kept, edited]).toEqual([[], []]);
    }),
    { numRuns: 60 },
  );
});

test('a document that has not changed changes nothing, whatever was edited', () => {
  fc.assert(
    fc.property(manifest, manifest, (before, byHand) => {
      const current = writeYaml(byHand);
      const { text: now, updated, kept } = again(current, before, before);
      expect(now).toBe(current);
      expect([updated, kept]).toEqual([[], []]);
    }),
    { numRuns: 60 },
  );
});

test('what was edited by hand stays so, and all else is what the document says', () => {
  const edits = fc.record({
    description: text,
    timeout_ms: fc.nat(),
    extract: named(word),
    query: fc.constantFrom('q'),
  });
  fc.assert(
    fc.property(
      manifest,
      manifest,
      fc.dictionary(word, schema, { maxKeys: 2 }),
      edits,
      (before, next, more, hand) => {
        const byHand = structuredClone(before);
        byHand.spec.description = `${hand.description} by hand`;
        byHand.spec.timeout_ms = hand.timeout_ms;
        byHand.spec.steps[0].extract = hand.extract;
        byHand.spec.input_schema.properties.mine = { type: 'string' };
        Object.assign(byHand.spec.input_schema.properties, structuredClone(more));
        const { text: now } = again(`# A comment.\n${writeYaml(byHand)}`, before, next);
        expect(now).toMatch(/^# A comment\.\n/);
        const result = parse(now) as Json;
        const expected = structuredClone(next);
        expected.spec.description = byHand.spec.description;
        expected.spec.timeout_ms = hand.timeout_ms;
        expected.spec.steps[0].extract = hand.extract;
        const { properties } = expected.spec.input_schema;
        properties.mine = { type: 'string' };
        for (const [name, own] of Object.entries(more)) {
          const written = before.spec.input_schema.properties[name];
          // Put in or changed by hand; what was put in as it was is no edit.
          if (JSON.stringify(written) !== JSON.stringify(own)) properties[name] = own;
        }
        expect(sorted(result)).toEqual(sorted(expected));
      },
    ),
    { numRuns: 60 },
  );
});

describe('a field', () => {
  const base: Json = {
    kind: 'ToolWorkflow',
    metadata: { name: 'a' },
    spec: { description: 'x', steps: [{ name: 'call', operation_id: 'o', query: { a: '1' } }] },
  };
  const step = (more: Json): Json => ({
    ...base,
    spec: { ...base.spec, steps: [{ name: 'call', operation_id: 'o', ...more }] },
  });

  test('that was taken out by hand does not come back, and is told once when the document has changed it', () => {
    const current = writeYaml({ ...base, spec: { steps: base.spec.steps } });
    expect(again(current, base, base)).toMatchObject({ edits: [], kept: [], edited: ['/spec/description'] });
    const next = { ...base, spec: { ...base.spec, description: 'y' } };
    expect(again(current, base, next)).toMatchObject({ edits: [], kept: ['/spec/description'] });
    expect(again(current, next, next)).toMatchObject({ edits: [], kept: [] });
  });

  test('that goes takes its map with it, when nothing else is in that', () => {
    const { text: now } = again(writeYaml(base), base, step({}));
    expect(parse(now).spec.steps).toEqual([{ name: 'call', operation_id: 'o' }]);
    const mine = writeYaml(step({ query: { a: '1', b: '2' } }));
    expect(parse(again(mine, base, step({})).text).spec.steps[0].query).toEqual({ b: '2' });
  });

  test('of a step that is called otherwise now is nobody’s to change', () => {
    const current = writeYaml(base).replace('name: call', 'name: mine');
    const next = step({ query: { a: '2' } });
    expect(again(current, base, next)).toMatchObject({ edits: [], kept: ['/spec/steps/call/query/a'] });
  });

  test('of a step that stands behind another one now is still known', () => {
    const first = { name: 'before', operation_id: 'p' };
    const current = writeYaml({ ...base, spec: { ...base.spec, steps: [first, ...base.spec.steps] } });
    const { text: now } = again(current, base, step({ query: { a: '2' } }));
    expect(parse(now).spec.steps).toEqual([first, { name: 'call', operation_id: 'o', query: { a: '2' } }]);
  });
});

test('a fingerprint tells fields and values, whatever the order of keys', () => {
  const one = writeFingerprint(fieldsOf({ spec: { a: { x: 1, y: [2] }, b: 1 } }));
  expect(writeFingerprint(fieldsOf({ spec: { b: 1, a: { y: [2], x: 1 } } }))).toBe(one);
  expect(one).toMatch(/^[A-Za-z0-9_-]{16}$/);
  const remembered = readFingerprint(one);
  expect(remembered('/spec/c')).toBeNull();
  expect(remembered('/spec/b')).not.toBeNull();
  // Four thousand characters are what an annotation holds.
  const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`f${index}`, index]));
  expect(writeFingerprint(fieldsOf({ spec: many })).length).toBeLessThanOrEqual(4_096);
});
