/** A parameter as a document describes it. */
import type { Parameter, ParameterLocation, ParameterStyle, Spelling } from './operation.ts';
import {
  follow,
  isObject,
  type JsonObject,
  type Located,
  Malformed,
  member,
  nounOf,
  pointerTo,
  quote,
} from './reference.ts';
import { RESERVED_HEADERS } from './reserved-headers.ts';

/** The styles of each place, its default first. */
const STYLES: Readonly<Record<ParameterLocation, readonly ParameterStyle[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
};

/**
 * OpenAPI 3.1 section 4.8.12.1: described elsewhere, so that a parameter of such a name is ignored. So are those that
 * no caller can give, since they are the gateway's to set.
 */
const IGNORED_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'content-type',
  'authorization',
  ...RESERVED_HEADERS,
]);

/** RFC 9110 section 5.6.2, which RFC 6265 takes for the names of cookies too. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** null: the parameter is one of those that are ignored. Throws {@link Malformed}. */
export function readParameter(document: unknown, parameter: Located<JsonObject>): Parameter | null {
  const { value, pointer } = parameter;
  const given = String(member(value, 'name'));
  const place = locationOf(member(value, 'in'), pointer);
  const name = place === 'header' ? given.toLowerCase() : given;
  if (place === 'header' && IGNORED_HEADERS.has(name)) return null;
  if ((place === 'header' || place === 'cookie') && !TOKEN.test(name)) {
    throw new Malformed(pointer, `${quote(name)} is not a name that a ${place} can have`);
  }
  const content = contentOf(value, pointer);
  return Object.freeze({
    name,
    in: place,
    required: place === 'path' || member(value, 'required') === true,
    content,
    ...readSpelling(value, pointer, STYLES[place]),
    takes_object: content !== null || takesObject(document, schemaAt(value, pointer)),
    default: content === null ? defaultOf(document, value, pointer) : undefined,
  });
}

/** Schemas within schemas that are looked into; of what is deeper nothing is known. */
const MAX_DEPTH = 8;

/** Whether an object may fit a schema; also true when it does not say. */
function takesObject(document: unknown, schema: Located | null, depth = 0): boolean {
  if (schema === null || depth === MAX_DEPTH) return true;
  let found: Located<JsonObject>;
  try {
    found = follow(document, schema);
  } catch (error) {
    if (error instanceof Malformed) return true;
    throw error;
  }
  const { value, pointer } = found;
  const type = member(value, 'type');
  if (type !== undefined && ![type].flat().includes('object')) return false;
  const values = member(value, 'enum');
  if (Array.isArray(values) && !values.some(isObject)) return false;
  const parts = (keyword: string): readonly boolean[] => {
    const list = member(value, keyword);
    if (!Array.isArray(list)) return [];
    return list.map((one, index) =>
      takesObject(
        document,
        isObject(one) ? { value: one, pointer: pointerTo(pointerTo(pointer, keyword), index) } : null,
        depth + 1,
      ),
    );
  };
  const oneOf = (keyword: string): boolean => {
    const found = parts(keyword);
    return found.length === 0 || found.includes(true);
  };
  return !parts('allOf').includes(false) && oneOf('anyOf') && oneOf('oneOf');
}

function schemaAt(value: JsonObject, pointer: string): Located | null {
  const schema = member(value, 'schema');
  return isObject(schema) ? { value: schema, pointer: pointerTo(pointer, 'schema') } : null;
}

/** `style`, `explode` and `allowReserved` with their defaults. Throws {@link Malformed} for an unknown style. */
export function readSpelling(
  value: JsonObject,
  pointer: string,
  styles: readonly ParameterStyle[] = STYLES.query,
): Spelling {
  const given = member(value, 'style') ?? styles[0];
  const style = styles.find((known) => known === given);
  if (style === undefined) {
    const text = typeof given === 'string' ? quote(given) : nounOf(given);
    throw new Malformed(pointerTo(pointer, 'style'), `the style must be ${styles.join(' or ')}, not ${text}`);
  }
  const explode = member(value, 'explode');
  return {
    style,
    explode: typeof explode === 'boolean' ? explode : style === 'form',
    allow_reserved: member(value, 'allowReserved') === true,
  };
}

function locationOf(place: unknown, pointer: string): ParameterLocation {
  if (typeof place === 'string' && Object.hasOwn(STYLES, place)) return place as ParameterLocation;
  const text = typeof place === 'string' ? quote(place) : nounOf(place);
  throw new Malformed(
    pointerTo(pointer, 'in'),
    `a parameter is in path, query, header or cookie, not ${text}`,
  );
}

/** The media type of a parameter that is described by `content`. */
function contentOf(value: JsonObject, pointer: string): string | null {
  const content = member(value, 'content');
  if (content === undefined) return null;
  const [type] = isObject(content) ? Object.keys(content) : [];
  if (type === undefined)
    throw new Malformed(pointerTo(pointer, 'content'), 'content must name a media type');
  return type.toLowerCase();
}

function defaultOf(document: unknown, value: JsonObject, pointer: string): unknown {
  const schema = schemaAt(value, pointer);
  if (schema === null) return undefined;
  try {
    return member(follow(document, schema).value, 'default');
  } catch (error) {
    // A schema that cannot be read only means that nothing is known of the value.
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
