/** Every field of every schema explains itself to an editor: a description, and examples that hold. */
import { readdirSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { ROOT, readText } from './page.ts';

interface Node {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
}

interface Field {
  /** JSON pointer within the schema. */
  readonly at: string;
  readonly node: Node;
}

/** Rules, not fields: what stands below them is never seen by an editor. */
const RULES = new Set(['not', 'if', 'then', 'else', 'examples', 'default', 'enum', 'const', 'required']);

function fieldsOf(node: unknown, at: string): Field[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, inner]) => {
    if (RULES.has(key)) return [];
    const path = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (key !== 'properties') return fieldsOf(inner, path);
    return Object.entries(inner as Record<string, Node>).flatMap(([name, field]) => {
      const here = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      // `{"not": {}}`: a field that must not be there.
      if (Object.hasOwn(field, 'not') && field.description === undefined) return [];
      return [{ at: here, node: field }, ...fieldsOf(field, here)];
    });
  });
}

describe.each(readdirSync(new URL('schemas', ROOT)).filter((name) => name.endsWith('.json')))(
  'schemas/%s',
  (name) => {
    const schema = JSON.parse(readText(`schemas/${name}`));
    const ajv = new Ajv({ strict: false, allErrors: true });
    ajv.addSchema(schema, 'schema');
    const fields = fieldsOf(schema, '');

    test('is draft-07, with a title, a description and a whole example', () => {
      expect(schema).toMatchObject({
        $schema: 'http://json-schema.org/draft-07/schema#',
        title: name.replace('.schema.json', ''),
        description: expect.stringMatching(/\.$/),
        examples: expect.arrayContaining([
          expect.objectContaining({ kind: name.replace('.schema.json', '') }),
        ]),
      });
      for (const example of schema.examples)
        expect(ajv.validate('schema', example), ajv.errorsText()).toBe(true);
    });

    test('every field has a description and an example', () => {
      expect(fields.length).toBeGreaterThan(8);
      // `spec` of a manifest is a reference to a definition, which has them.
      const referring = fields.filter(({ node }) => Object.hasOwn(node, '$ref'));
      expect(referring.map(({ at }) => at)).toEqual(referring.length === 0 ? [] : ['/properties/spec']);
      const own = fields.filter((field) => !referring.includes(field));
      expect(own.filter(({ node }) => !/\.$/.test(node.description ?? '')).map(({ at }) => at)).toEqual([]);
      expect(own.filter(({ node }) => !node.examples?.length).map(({ at }) => at)).toEqual([]);
    });

    test('examples and defaults hold', () => {
      const wrong = fields.flatMap(({ at, node }) => {
        const values = [...(node.examples ?? []), ...(node.default === undefined ? [] : [node.default])];
        return values.flatMap((value) =>
          ajv.validate(`schema#${at}`, value) ? [] : [`${at}: ${JSON.stringify(value)}: ${ajv.errorsText()}`],
        );
      });
      expect(wrong).toEqual([]);
    });
  },
);
