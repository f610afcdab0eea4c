/**
 * What an import wrote, remembered in an annotation of the manifest itself: a short digest of each field. At the next
 * import a field that still has its digest is the document's to change, and one that has not was edited by hand.
 */
import { hash } from 'node:crypto';
import { digestContent } from '../../manifest/manifest.ts';
import { pointerTo } from '../../manifest/position.ts';

/** The fields that are compared as wholes, by JSON pointer; a step of a workflow is named, not counted. */
export type Fields = ReadonlyMap<string, unknown>;

/** Maps whose fields count by themselves: all others are one field. */
const MAPS = new RegExp(
  `^(?:${[
    '',
    '/metadata',
    '/metadata/(?:labels|annotations)',
    '/spec',
    '/spec/(?:source|egress|annotations|input_schema)',
    '/spec/input_schema/properties(?:/body(?:/properties)?)?',
    '/spec/steps(?:/[^/]+(?:/(?:path_params|query|headers))?)?',
  ].join('|')})$`,
);

/** Who it is, and the notes of the import itself. */
const OWN = /^\/(?:apiVersion|kind|metadata\/(?:name|tenant|annotations\/seal\.gateway~1import-[^/]*))$/;

/** An annotation has 4,096 characters. */
const MAX_FIELDS = 500;
const DIGITS = 4;

export function isMapOfFields(pointer: string): boolean {
  return MAPS.test(pointer);
}

export function fieldsOf(manifest: unknown): Fields {
  const fields = new Map<string, unknown>();
  collect(manifest, '', fields);
  return fields;
}

function collect(value: unknown, pointer: string, fields: Map<string, unknown>): void {
  const entries = isMapOfFields(pointer) ? entriesOf(value) : null;
  if (entries === null) {
    if (!OWN.test(pointer)) fields.set(pointer, value);
    return;
  }
  for (const [key, item] of entries) collect(item, pointerTo(pointer, key), fields);
}

/** null: it is no map, nor a list of named steps. */
export function entriesOf(value: unknown): [string, unknown][] | null {
  if (typeof value !== 'object' || value === null) return null;
  if (!Array.isArray(value)) return Object.entries(value);
  const names = value.map((item: unknown) => (item as { name?: unknown } | null)?.name);
  const named = names.every((name) => typeof name === 'string') && new Set(names).size === names.length;
  return named ? value.map((item, index) => [names[index] as string, item]) : null;
}

/** A pair of digests for each field. */
export function writeFingerprint(fields: Fields): string {
  const pairs = [...fields].slice(0, MAX_FIELDS).map(([pointer, value]) => digest(pointer) + digestOf(value));
  return pairs.sort().join('');
}

/** What a field was when it was written; null: it was not, or nobody knows. */
export type Remembered = (pointer: string) => string | null;

export function readFingerprint(text: string): Remembered {
  const known = new Map(pairsOf(text).map((pair) => [pair.slice(0, DIGITS), pair.slice(DIGITS)]));
  return (pointer) => known.get(digest(pointer)) ?? null;
}

/** How many fields were written and are there no more. */
export function takenOut(fields: Fields, text: string): number {
  const names = new Set([...fields.keys()].map(digest));
  return pairsOf(text).filter((pair) => !names.has(pair.slice(0, DIGITS))).length;
}

function pairsOf(text: string): readonly string[] {
  return text.match(new RegExp(`.{${2 * DIGITS}}`, 'g')) ?? [];
}

/** Of a value, whatever the order of its keys. */
export function digestOf(value: unknown): string {
  return digest(digestContent(value));
}

/** 24 bits: an edit goes unseen once in 16 million. */
function digest(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, DIGITS);
}
