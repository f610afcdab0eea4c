/**
 * Schemas of a document as JSON Schema of draft-07 that stands alone: references are written out, what OpenAPI adds
 * is translated or dropped. A value that fits the document's schema fits the result; where something is cut or
 * cannot be translated, the result takes more than the document does, never less.
 */
import { follow, isObject, type JsonObject, type Located, Malformed, member, pointerTo, resolve } from './reference.ts';

export type Schema = Record<string, unknown>;

export interface SchemaLimits {
  /** How often a reference is written out within itself. */
  readonly recursion: number;
  /** Schemas within schemas. */
  readonly depth: number;
  /** Of the result as JSON, about. What is nearest to the top is kept. */
  readonly bytes: number;
}

export interface Inliner {
  /** A schema that is filled in by {@link Inliner.fill}. With `files`, bytes may be given as `{base64}`. */
  add(schema: Located, options?: { readonly files: boolean }): Schema;
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

/** One level after the other, so that what is cut is the deepest. */
export function createInliner(document: unknown, limits: SchemaLimits): Inliner {
  const queue: Job[] = [];
  let bytes = 0;
  const afford = (cost: number): boolean => {
    if (bytes + cost > limits.bytes) return false;
    bytes += cost;
    return true;
  };
  const enqueue = (source: Located, from: Omit<Job, 'source' | 'into'>): Schema => {
    const into: Schema = {};
    queue.push({ ...from, source, into });
    return into;
  };
  return {
    add: (source, { files } = { files: false }) => enqueue(source, { within: null, depth: 0, files }),
    fill() {
      for (let next = 0; next < queue.length; next += 1) fillIn(document, limits, queue[next]!, afford, enqueue);
      queue.length = 0;
    },
  };
}

type Afford = (cost: number) => boolean;
type Enqueue = (source: Located, from: Omit<Job, 'source' | 'into'>) => Schema;

function fillIn(document: unknown, limits: SchemaLimits, job: Job, afford: Afford, enqueue: Enqueue): void {
  const { source, into, depth, files } = job;
  if (source.value === false) into.not = {};
  if (!isObject(source.value) || depth > limits.depth || !afford(2)) return;
  const reference = member(source.value, '$ref');
  if (reference !== undefined) {
    const target = enter(document, limits, job, reference);
    if (target === null) return;
    const own = Object.keys(source.value).filter((key) => key !== '$ref');
    if (own.length === 0) {
      fillIn(document, limits, { ...job, ...target }, afford, enqueue);
      return;
    }
    // OpenAPI 3.1 lets a reference stand beside other keywords; both hold.
    into.allOf = [enqueue(target.source, { within: target.within, depth, files })];
  }
  const { value, pointer } = source as Located<JsonObject>;
  if (files && isBytes(value)) {
    Object.assign(into, BYTES);
    return;
  }
  copyKeywords(value, into, afford);
  const below = { within: job.within, depth: depth + 1, files };
  const sub = (child: unknown, at: string): Schema => enqueue({ value: child, pointer: at }, below);
  addProperties(document, source as Located<JsonObject>, into, afford, sub);
  const items = member(value, 'items');
  if (isSchema(items) && member(value, 'prefixItems') === undefined) {
    into.items = sub(items, pointerTo(pointer, 'items'));
  }
  addCombined(source as Located<JsonObject>, into, afford, sub);
}

/** What a reference leads to; null: nothing, or what is written out around it often enough. */
function enter(
  document: unknown,
  limits: SchemaLimits,
  job: Job,
  reference: unknown,
): Pick<Job, 'source' | 'within'> | null {
  let target: Located;
  try {
    target = resolve(document, reference, job.source.pointer);
  } catch (error) {
    // Nothing is known of the value, so that anything fits.
    if (error instanceof Malformed) return null;
    throw error;
  }
  let times = 0;
  for (let outer = job.within; outer !== null; outer = outer.outer) {
    if (outer.pointer === target.pointer) times += 1;
  }
  if (times > limits.recursion) return null;
  return { source: target, within: { pointer: target.pointer, outer: job.within } };
}

type Sub = (child: unknown, pointer: string) => Schema;

/** `properties` and what depends on it, which hold together or not at all. */
function addProperties(
  document: unknown,
  { value, pointer }: Located<JsonObject>,
  into: Schema,
  afford: Afford,
  sub: Sub,
): void {
  const written = member(value, 'properties');
  const properties = isObject(written) ? written : {};
  const at = pointerTo(pointer, 'properties');
  const names = Object.keys(properties).filter(
    (name) => !isReadOnly(document, { value: properties[name], pointer: pointerTo(at, name) }),
  );
  if (!afford(names.reduce((sum, name) => sum + name.length + 4, 0))) return;
  if (names.length > 0) {
    into.properties = mapOf(names, (name) => sub(properties[name], pointerTo(at, name)));
  }
  const required = member(value, 'required');
  if (Array.isArray(required)) {
    const dropped = new Set(Object.keys(properties).filter((name) => !names.includes(name)));
    const needed = required.filter((name) => typeof name === 'string' && !dropped.has(name));
    if (needed.length > 0 && afford(JSON.stringify(needed).length)) into.required = [...new Set(needed)];
  }
  const others = member(value, 'additionalProperties');
  if (isSchema(others) && member(value, 'patternProperties') === undefined) {
    into.additionalProperties = others === false ? false : sub(others, pointerTo(pointer, 'additionalProperties'));
  }
}

/** `allOf`, `anyOf`, and `oneOf` as `anyOf`: branches that are cut would fit together, where only one may. */
function addCombined({ value, pointer }: Located<JsonObject>, into: Schema, afford: Afford, sub: Sub): void {
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    const written = member(value, key);
    if (!Array.isArray(written) || written.length === 0 || !afford(written.length * 3)) continue;
    const at = pointerTo(pointer, key);
    const branches = written.map((branch, index) => sub(branch, pointerTo(at, index)));
    if (key === 'allOf') into.allOf = [...((into.allOf as Schema[] | undefined) ?? []), ...branches];
    else if (into.anyOf === undefined) into.anyOf = branches;
    else into.allOf = [...((into.allOf as Schema[] | undefined) ?? []), { anyOf: branches }];
  }
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number';
const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isAny: Check = () => true;

/** Keywords that are copied, in the order in which people read them. */
const KEYWORDS: readonly (readonly [key: string, check: Check])[] = [
  ['title', isText],
  ['description', isText],
  ['const', isAny],
  ['default', isAny],
  ['deprecated', (value) => value === true],
  ['format', (value) => FORMATS.has(value)],
  ['pattern', isPattern],
  ['minLength', isCount],
  ['maxLength', isCount],
  ['minimum', isNumber],
  ['maximum', isNumber],
  ['exclusiveMinimum', isNumber],
  ['exclusiveMaximum', isNumber],
  ['multipleOf', (value) => typeof value === 'number' && value > 0],
  ['minItems', isCount],
  ['maxItems', isCount],
  ['uniqueItems', (value) => value === true],
  ['minProperties', isCount],
  ['maxProperties', isCount],
];

/** Those that validators of JSON Schema know; any other one is the document's own. */
const FORMATS: ReadonlySet<unknown> = new Set([
  ...['date', 'time', 'date-time', 'duration', 'uri', 'uri-reference', 'uri-template', 'email', 'hostname'],
  ...['ipv4', 'ipv6', 'uuid', 'regex', 'json-pointer', 'int32', 'int64', 'float', 'double', 'password', 'byte'],
]);

const TYPES: ReadonlySet<unknown> = new Set([
  ...['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'],
]);

function copyKeywords(value: JsonObject, into: Schema, afford: Afford): void {
  // OpenAPI 3.0 says null by `nullable`.
  const nullable = member(value, 'nullable') === true;
  const types = [member(value, 'type')].flat().filter((type) => TYPES.has(type));
  if (nullable && types.length > 0) types.push('null');
  if (types.length > 0) into.type = types.length === 1 ? types[0] : [...new Set(types)];
  for (const [key, check] of KEYWORDS) {
    const keyword = member(value, key);
    if (keyword !== undefined && check(keyword)) set(into, key, keyword, afford);
  }
  const allowed = member(value, 'enum');
  if (Array.isArray(allowed) && allowed.length > 0) {
    set(into, 'enum', nullable && !allowed.includes(null) ? [...allowed, null] : allowed, afford);
  }
  const example = member(value, 'example');
  if (example !== undefined) set(into, 'examples', [example], afford);
  for (const side of ['Minimum', 'Maximum']) {
    // In OpenAPI 3.0 these say that the bound beside them is not a value itself.
    if (member(value, `exclusive${side}`) !== true) continue;
    const bound = into[side.toLowerCase()];
    if (bound === undefined) continue;
    into[`exclusive${side}`] = bound;
    delete into[side.toLowerCase()];
  }
}

function set(into: Schema, key: string, value: unknown, afford: Afford): void {
  if (afford(key.length + 4 + JSON.stringify(value).length)) into[key] = value;
}

/** A body or part of bytes: text is sent as UTF-8. */
const BYTES: Schema = {
  anyOf: [
    { type: 'string' },
    {
      type: 'object',
      required: ['base64'],
      properties: {
        base64: { type: 'string' },
        filename: { type: 'string' },
        content_type: { type: 'string' },
      },
      additionalProperties: false,
    },
  ],
};

function isBytes(schema: JsonObject): boolean {
  const isString = member(schema, 'type') === 'string';
  const media = member(schema, 'contentMediaType') !== undefined && member(schema, 'contentEncoding') === undefined;
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

function isSchema(value: unknown): boolean {
  return typeof value === 'boolean' || isObject(value);
}

/** Patterns of other languages occur; one that cannot be compiled here says nothing. */
function isPattern(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    new RegExp(value, 'u');
    return true;
  } catch {
    return false;
  }
}

/** An object with any keys, `__proto__` among them. */
function mapOf(names: readonly string[], valueOf: (name: string) => Schema): Record<string, Schema> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)]));
}
