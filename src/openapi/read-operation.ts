/** One operation of a document, with everything that it refers to. */
import type { Operation, Parameter, RequestBody } from './operation.ts';
import { readParameter } from './parameter.ts';
import { undescribed } from './parameter-value.ts';
import { fieldOf, type PathItem, parametersOf, type Report } from './path-item.ts';
import { derivedId, namesIn, withoutFragment } from './path-template.ts';
import {
  follow,
  type JsonObject,
  type Located,
  Malformed,
  member,
  pointerTo,
  quote,
  textOf,
} from './reference.ts';
import { readRequestBody } from './request-body.ts';
import { baseUrl, namesServers } from './server.ts';

/** What the reading of one document shares. */
export interface Reading {
  readonly document: unknown;
  /** Where the document is from. */
  readonly url: string | null;
  /** The base URL of the document. */
  readonly server: string | null;
  readonly report: Report;
  /** By what is written, so that operations which refer to the same share it. */
  readonly parameters: Map<JsonObject, Parameter | null>;
  readonly bodies: Map<JsonObject, RequestBody>;
  /** Of all operations so far. */
  parameter_count: number;
}

/** The longest operation id that a manifest can name. */
const MAX_ID_LENGTH = 256;
/** Of all operations together: a few references can make many. GitHub's document has 3,500. */
const MAX_PARAMETERS = 200_000;

/** Reads the operation at `key` (a method in lower case) of the path item. Throws {@link Malformed}. */
export function readOperation(reading: Reading, path: string, key: string, item: PathItem): Operation {
  const method = key.toUpperCase();
  const written = fieldOf(item, key) ?? { value: null, pointer: '' };
  // A reply to TRACE repeats the request, with the credential in it (RFC 9110 section 9.3.8).
  if (method === 'TRACE') throw new Malformed(written.pointer, 'the gateway does not send TRACE');
  const operation = follow(reading.document, written);
  const { value } = operation;
  const id = writtenId(item, key);
  checkId(reading, operation, id);
  return Object.freeze({
    id: id ?? derivedId(method, path),
    method,
    path: withoutFragment(path),
    safe: method === 'GET' || method === 'HEAD',
    summary: textOf(value, 'summary'),
    description: textOf(value, 'description'),
    tags: readTags(value),
    deprecated: member(value, 'deprecated') === true,
    server: readServer(reading, item, operation),
    parameters: readParameters(reading, path, item, operation),
    body: readBody(reading, operation),
    literal: false,
    pointer: pointerTo(pointerTo('/paths', path), key),
  });
}

/** The operationId at `key` of the path item, if it can be one. */
export function writtenId(item: PathItem, key: string): string | null {
  const id = member(fieldOf(item, key)?.value, 'operationId');
  const fits =
    typeof id === 'string' && id !== '' && id.length <= MAX_ID_LENGTH && !/[\p{Cc}\p{Cs}]/u.test(id);
  return fits ? id : null;
}

function checkId(reading: Reading, { value, pointer }: Located<JsonObject>, id: string | null): void {
  const written = member(value, 'operationId');
  if (written === undefined || written === '' || id !== null) return;
  reading.report(
    pointerTo(pointer, 'operationId'),
    `operationId must be a text of at most ${MAX_ID_LENGTH} printable characters: method and path are the id`,
  );
}

function readParameters(
  reading: Reading,
  path: string,
  item: PathItem,
  operation: Located<JsonObject>,
): readonly Parameter[] {
  if (reading.parameter_count > MAX_PARAMETERS) {
    throw new Malformed(operation.pointer, `the document has more than ${MAX_PARAMETERS} parameters`);
  }
  const missing = new Set(namesIn(withoutFragment(path)));
  const names = new Set(missing);
  const parameters: Parameter[] = [];
  for (const written of parametersOf(reading.document, item, operation, reading.report)) {
    const parameter = readShared(reading, written);
    if (parameter === null) continue;
    if (parameter.in === 'path' && !names.has(parameter.name)) {
      reading.report(written.pointer, `${quote(path)} has no {${parameter.name}}: the parameter is not used`);
      continue;
    }
    if (parameter.in === 'path') missing.delete(parameter.name);
    parameters.push(parameter);
  }
  for (const name of missing) {
    reading.report(operation.pointer, `no parameter describes {${name}} of the path: it is taken as a text`);
    parameters.push(undescribed('path', name));
  }
  reading.parameter_count += parameters.length;
  return Object.freeze(parameters);
}

function readShared(reading: Reading, written: Located<JsonObject>): Parameter | null {
  const known = reading.parameters.get(written.value);
  if (known !== undefined) return known;
  const parameter = readParameter(reading.document, written);
  reading.parameters.set(written.value, parameter);
  return parameter;
}

function readBody(reading: Reading, { value, pointer }: Located<JsonObject>): RequestBody | null {
  const written = member(value, 'requestBody');
  if (written === undefined) return null;
  const body = follow(reading.document, { value: written, pointer: pointerTo(pointer, 'requestBody') });
  const read = reading.bodies.get(body.value) ?? readRequestBody(reading.document, body);
  reading.bodies.set(body.value, read);
  return read;
}

/** The base URL of an operation with servers of its own, or below a path that has; null: the document's. */
function readServer(
  reading: Reading,
  item: PathItem,
  { value, pointer }: Located<JsonObject>,
): string | null {
  const written = member(value, 'servers');
  const own = written === undefined ? null : { value: written, pointer: pointerTo(pointer, 'servers') };
  const servers = namesServers(own) ? own : fieldOf(item, 'servers');
  if (servers === null || !namesServers(servers)) return null;
  const url = baseUrl(servers, reading.url);
  if (url === null) {
    throw new Malformed(
      servers.pointer,
      'its server is relative, and where the document is from is not known',
    );
  }
  return url === reading.server ? null : url;
}

function readTags(value: JsonObject): readonly string[] {
  const tags = member(value, 'tags');
  return Object.freeze(Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : []);
}
