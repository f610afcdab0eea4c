/** TypeScript types from the schemas. For development alone (see generate.ts). */
import { isDeepStrictEqual } from 'node:util';
import { compile } from 'json-schema-to-typescript';
import type { JsonSchema, Kind } from './kind.ts';

export interface KindSchema {
  readonly kind: Kind;
  readonly schema: JsonSchema;
}

const BANNER =
  '/* Made from schemas/ by `node src/manifest/generate.ts types`; do not edit. */\n/* eslint-disable */';

/** One module with an interface for each kind (`ApiSpecManifest`) and for each definition (`ApiSpecSpec`). */
export async function renderTypes(kinds: readonly KindSchema[]): Promise<string> {
  const definitions: Record<string, unknown> = {};
  for (const { kind, schema } of kinds) {
    const { definitions: own = {}, ...manifest } = schema;
    const all: Record<string, JsonSchema> = { ...own, [`${kind}Manifest`]: { ...manifest, title: '' } };
    for (const [name, definition] of Object.entries(all)) {
      const shape = shapeOf(definition);
      if (definitions[name] !== undefined && !isDeepStrictEqual(definitions[name], shape)) {
        throw new Error(`definition ${name} is not the same in every schema`);
      }
      definitions[name] = shape;
    }
  }
  const union = { anyOf: kinds.map(({ kind }) => ({ $ref: `#/definitions/${kind}Manifest` })) };
  return compile({ ...union, definitions } as Parameters<typeof compile>[0], 'AnyManifest', {
    additionalProperties: false,
    bannerComment: BANNER,
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: false,
    style: { printWidth: 110, singleQuote: true },
  });
}

/** The schema without what says nothing about its shape. */
function shapeOf(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(shapeOf);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { allOf, ...rest } = schema as JsonSchema;
  const reference = allOf?.find((part) => part.$ref !== undefined);
  if (reference !== undefined) return { $ref: reference.$ref, description: rest.description };
  const shape: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (RULES.has(key)) continue;
    shape[key] = key === 'properties' || key === 'definitions' ? shapesOf(value) : shapeOf(value);
  }
  return shape;
}

const RULES = new Set([
  '$schema',
  '$comment',
  'title',
  'examples',
  'default',
  'dependencies',
  'oneOf',
  'anyOf',
  'not',
  'propertyNames',
  'pattern',
  'minProperties',
  'maxProperties',
]);

function shapesOf(schemas: unknown): unknown {
  return Object.fromEntries(
    Object.entries(schemas as Record<string, JsonSchema>).flatMap(([name, schema]) =>
      schema.not === undefined ? [[name, shapeOf(schema)]] : [],
    ),
  );
}
