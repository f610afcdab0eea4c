/**
 * Schemas of a document as JSON Schema of draft-07 that stands alone: references are written out, what OpenAPI adds
 * is translated or dropped. A value that fits the document's schema fits the result; where something is cut or
 * cannot be translated, the result takes more than the document does, never less.
 */
import {
  follow,
  isObject,
  type JsonObject,
  type Located,
  Malformed,
  member,
  pointerTo,
  resolve,
} from './reference.ts';
import { copyKeywords, type Schema } from './schema-keywords.ts';

export interface SchemaLimits {
  /** How often a reference is written out within itself. */
  readonly recursion: number;
  /** Schemas within schemas. */
  readonly depth: number;
  /** Of the result as JSON, about. What is nearest to the top is kept. */
  readonly bytes: number;
}

export interface InlineOptions {
  /** Said of the schema instead of its own description. */
  readonly description?: string | null;
  /** Bytes may be given as `{base64}`. */
  readonly files?: boolean;
}

export interface Inliner {
  /** A schema that {@link Inliner.fill} fills in. */
  add(schema: Located, options?: InlineOptions): Schema;
  fill(): void;
}

/** References that are being written out around a schema. */
interface Within {
  readonly pointer: string;
  readonly outer: Within | null;
}

interface Job {
  readonly source: Located;
  readonly into: Schema;
  readonly within: Within | null;
  readonly depth: number;
  readonly files: boolean;
}

/** References around a schema, those that only lead to references among them. */
const MAX_WITHIN = 64;

interface Work {
  readonly document: unknown;
  readonly limits: SchemaLimits;
  /** One level after the other, so that what is cut is the deepest. */
  readonly queue: Job[];
  bytes: number;
}

export function createInliner(document: unknown, limits: SchemaLimits): Inliner {
  const work: Work = { document, limits, queue: [], bytes: 0 };
  return {
    add(source, { description = null, files = false } = {}) {
      const into: Schema = {};
      if (description !== null) set(work, into, 'description', description);
      work.queue.push({ source, into, within: null, depth: 0, files });
      return into;
    },
    fill() {
      for (let next = 0; next < work.queue.length; next += 1) fillIn(work, work.queue[next]!);
      work.queue.length = 0;
    },
  };
}

/** Whether there is room for so many more bytes, which are then taken. */
function afford(work: Work, bytes: number): boolean {
  if (work.bytes + bytes > work.limits.bytes) return false;
  work.bytes += bytes;
  return true;
}

function set(work: Work, into: Schema, key: string, value: unknown): void {
  if (afford(work, key.length + 4 + JSON.stringify(value).length)) into[key] = value;
}

function fillIn(work: Work, job: Job): void {
  const { source, into, within, depth, files } = job;
  const { value, pointer } = source;
  if (value === false) into.not = {};
  if (!isObject(value) || depth > work.limits.depth || !afford(work, 2)) return;
  const reference = member(value, '$ref');
  if (reference !== undefined) {
    const target = enter(work, job, reference);
    if (target === null) return;
    if (Object.keys(value).length === 1) {
      work.queue.push({ ...job, ...target });
      return;
    }
    // OpenAPI 3.1 lets a reference stand beside other keywords; both hold.
    const referred: Schema = {};
    work.queue.push({ ...job, ...target, into: referred });
    into.allOf = [referred];
  }
  if (files && isBytes(value)) {
    into.anyOf = bytesSchemas();
    return;
  }
  copyKeywords(value, into, (key, keyword) => set(work, into, key, keyword));
  const sub: Sub = (child, at) => {
    const below: Schema = {};
    work.queue.push({ source: { value: child, pointer: at }, into: below, within, depth: depth + 1, files });
    return below;
  };
  addProperties(work, { value, pointer }, into, sub);
  addItems({ value, pointer }, into, sub);
  addCombined(work, { value, pointer }, into, sub);
}

/** What a reference leads to; null: nothing, or what is written out around it often enough. */
function enter(
  work: Work,
  { source, within }: Job,
  reference: unknown,
): Pick<Job, 'source' | 'within'> | null {
  let target: Located;
  try {
    target = resolve(work.document, reference, source.pointer);
  } catch (error) {
    // Nothing is known of the value, so that anything fits.
    if (error instanceof Malformed) return null;
    throw error;
  }
  let times = 0;
  let around = 0;
  for (let outer = within; outer !== null; outer = outer.outer) {
    around += 1;
    if (outer.pointer === target.pointer) times += 1;
  }
  if (times > work.limits.recursion || around === MAX_WITHIN) return null;
  return { source: target, within: { pointer: target.pointer, outer: within } };
}

type Sub = (child: unknown, pointer: string) => Schema;

/** `properties` and what depends on it, which hold together or not at all. */
function addProperties(work: Work, { value, pointer }: Located<JsonObject>, into: Schema, sub: Sub): void {
  const written = member(value, 'properties');
  const properties = isObject(written) ? written : {};
  const at = pointerTo(pointer, 'properties');
  const readOnly = new Set<unknown>();
  const names = Object.keys(properties).filter((name) => {
    const isDropped = isReadOnly(work.document, { value: properties[name], pointer: pointerTo(at, name) });
    if (isDropped) readOnly.add(name);
    return !isDropped;
  });
  const size = names.reduce((sum, name) => sum + name.length + 4, 0);
  if (!afford(work, size)) return;
  if (names.length > 0) {
    // Object.fromEntries makes a property of any key, `__proto__` among them.
    into.properties = Object.fromEntries(
      names.map((name) => [name, sub(properties[name], pointerTo(at, name))]),
    );
  }
  const needed = new Set([member(value, 'required')].flat().filter((name) => typeof name === 'string'));
  const required = [...needed].filter((name) => !readOnly.has(name));
  if (required.length > 0) set(work, into, 'required', required);
  const others = member(value, 'additionalProperties');
  if (others === false && member(value, 'patternProperties') === undefined) into.additionalProperties = false;
  if (isObject(others)) into.additionalProperties = sub(others, pointerTo(pointer, 'additionalProperties'));
}

/** Draft-07 has no `prefixItems`, beside which `items` would speak of all items. */
function addItems({ value, pointer }: Located<JsonObject>, into: Schema, sub: Sub): void {
  const items = member(value, 'items');
  const isSchema = typeof items === 'boolean' || isObject(items);
  if (isSchema && member(value, 'prefixItems') === undefined)
    into.items = sub(items, pointerTo(pointer, 'items'));
}

/** `allOf`, `anyOf`, and `oneOf` as `anyOf`: branches that are cut would fit together, where only one may. */
function addCombined(work: Work, { value, pointer }: Located<JsonObject>, into: Schema, sub: Sub): void {
  const all = [into.allOf ?? []].flat();
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    const written = member(value, key);
    if (!Array.isArray(written) || written.length === 0 || !afford(work, written.length * 3)) continue;
    const branches = written.map((branch, index) => sub(branch, pointerTo(pointerTo(pointer, key), index)));
    if (key === 'allOf') all.push(...branches);
    else if (into.anyOf === undefined) into.anyOf = branches;
    else all.push({ anyOf: branches });
  }
  if (all.length > 0) into.allOf = all;
}

/** A body or part of bytes: a text is sent as UTF-8. */
function bytesSchemas(): Schema[] {
  const text = { type: 'string' };
  const properties = { base64: { ...text }, filename: { ...text }, content_type: { ...text } };
  return [text, { type: 'object', properties, required: ['base64'], additionalProperties: false }];
}

function isBytes(schema: JsonObject): boolean {
  const isString = member(schema, 'type') === 'string';
  const media =
    member(schema, 'contentMediaType') !== undefined && member(schema, 'contentEncoding') === undefined;
  return (isString && member(schema, 'format') === 'binary') || media;
}

function isReadOnly(document: unknown, schema: Located): boolean {
  try {
    return member(follow(document, schema).value, 'readOnly') === true;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}
