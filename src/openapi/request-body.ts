/** A request body as a document describes it. */
import { bareType, isJson, kindOf, PREFERENCE } from './media-type.ts';
import type { BodyType, FormField, RequestBody } from './operation.ts';
import { readSpelling } from './parameter.ts';
import {
  follow,
  isObject,
  type JsonObject,
  type Located,
  Malformed,
  member,
  pointerTo,
  textOf,
} from './reference.ts';

/** Fields of a form that a document may describe. */
const MAX_FIELDS = 1000;

/** Throws {@link Malformed} when there is no media type in it that the gateway can write. */
export function readRequestBody(document: unknown, body: Located<JsonObject>): RequestBody {
  const content = member(body.value, 'content');
  const pointer = pointerTo(body.pointer, 'content');
  if (!isObject(content)) throw new Malformed(pointer, 'a request body needs content: a map of media types');
  const types = Object.keys(content)
    .map((key) => readType(document, key, { value: content[key], pointer: pointerTo(pointer, key) }))
    .filter((type) => type !== null)
    .sort((a, b) => rank(a) - rank(b));
  if (types.length === 0) throw new Malformed(pointer, 'the gateway can write none of these media types');
  return Object.freeze({ required: member(body.value, 'required') === true, types: Object.freeze(types) });
}

function rank(type: BodyType): number {
  // Plain JSON comes before types that have JSON only as their form, as patches do.
  return PREFERENCE.indexOf(type.kind) + (type.media_type === 'application/json' ? -1 : 0);
}

function readType(document: unknown, key: string, described: Located): BodyType | null {
  const media_type = bareType(key);
  const kind = media_type === null ? null : kindOf(media_type);
  if (media_type === null || kind === null) return null;
  const isForm = kind === 'form' || kind === 'multipart';
  const fields =
    isForm && isObject(described.value) ? readFields(document, described.value, described.pointer) : [];
  return Object.freeze({ media_type, kind, fields: new Map(fields) });
}

function readFields(document: unknown, described: JsonObject, pointer: string): [string, FormField][] {
  const encoding = member(described, 'encoding');
  const properties = propertiesOf(document, member(described, 'schema'), pointerTo(pointer, 'schema'));
  const names = new Set([
    ...(isObject(encoding) ? Object.keys(encoding) : []),
    ...(isObject(properties) ? Object.keys(properties) : []),
  ]);
  const fields: [string, FormField][] = [];
  for (const name of [...names].slice(0, MAX_FIELDS)) {
    const at = pointerTo(pointerTo(pointer, 'encoding'), name);
    const field = readField(document, member(encoding, name), member(properties, name), at);
    if (field !== null) fields.push([name, field]);
  }
  return fields;
}

/** null: the value alone decides. */
function readField(document: unknown, encoding: unknown, schema: unknown, pointer: string): FormField | null {
  const styled =
    isObject(encoding) && ['style', 'explode', 'allowReserved'].some((key) => Object.hasOwn(encoding, key));
  // contentType is a list where several are allowed; one that is a range names none.
  const listed = textOf(encoding, 'contentType')?.split(',', 1)[0] ?? '';
  const named = listed.includes('*') ? null : bareType(listed);
  const content_type = named ?? binaryType(document, schema);
  if (!styled && content_type === null) return null;
  return Object.freeze({ content_type, spelling: styled ? readSpelling(encoding, pointer) : null });
}

/** The media type of a field that its schema, or that of its items, says to hold bytes. */
function binaryType(document: unknown, schema: unknown): string | null {
  const field = schemaAt(document, schema);
  const described = member(field, 'type') === 'array' ? schemaAt(document, member(field, 'items')) : field;
  if (member(described, 'contentEncoding') !== undefined) return null;
  const type = bareType(textOf(described, 'contentMediaType') ?? '');
  if (type !== null && !isJson(type)) return type;
  return member(described, 'format') === 'binary' ? 'application/octet-stream' : null;
}

function propertiesOf(document: unknown, schema: unknown, pointer: string): unknown {
  return member(schemaAt(document, schema, pointer), 'properties');
}

/** null for a schema that cannot be read, which only means that nothing is known of the value. */
function schemaAt(document: unknown, schema: unknown, pointer = ''): JsonObject | null {
  try {
    return follow(document, { value: schema, pointer }).value;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}
