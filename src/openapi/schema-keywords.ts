/** Keywords of schemas in OpenAPI, as those of draft-07. */
import { type JsonObject, member } from './reference.ts';

export type Schema = Record<string, unknown>;

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
  ['examples', Array.isArray],
];

/** Those that validators of JSON Schema know; any other one is the document's own. */
const FORMATS: ReadonlySet<unknown> = new Set(
  (
    'date time date-time duration uri uri-reference uri-template email hostname ipv4 ipv6 uuid regex ' +
    'json-pointer int32 int64 float double password byte'
  ).split(' '),
);

const TYPES: ReadonlySet<unknown> = new Set([
  'null',
  'boolean',
  'integer',
  'number',
  'string',
  'array',
  'object',
]);

/**
 * The keywords of a schema that say something of the value itself. `set` writes one, if there is room; what is
 * there already stays.
 */
export function copyKeywords(
  value: JsonObject,
  into: Schema,
  set: (key: string, value: unknown) => void,
): void {
  // OpenAPI 3.0 says null by `nullable`.
  const nullable = member(value, 'nullable') === true;
  const types = [member(value, 'type')].flat().filter((type) => TYPES.has(type));
  if (nullable && types.length > 0) types.push('null');
  if (types.length > 0) into.type = types.length === 1 ? types[0] : [...new Set(types)];
  for (const [key, check] of KEYWORDS) {
    const keyword = member(value, key);
    if (keyword === undefined || key in into || !check(keyword)) continue;
    set(key, keyword);
  }
  const allowed = member(value, 'enum');
  if (Array.isArray(allowed) && allowed.length > 0) {
    // Documents name values twice, which JSON Schema does not allow.
    const values = [...new Map(allowed.map((one) => [JSON.stringify(one), one])).values()];
    set('enum', nullable && !values.includes(null) ? [...values, null] : values);
  }
  const example = member(value, 'example');
  if (example !== undefined) set('examples', [example]);
  for (const side of ['Minimum', 'Maximum']) {
    // In OpenAPI 3.0 these say that the bound beside them is not a value itself.
    if (member(value, `exclusive${side}`) !== true) continue;
    const bound = into[side.toLowerCase()];
    if (bound === undefined) continue;
    into[`exclusive${side}`] = bound;
    delete into[side.toLowerCase()];
  }
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
