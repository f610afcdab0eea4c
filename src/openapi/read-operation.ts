/** One operation of a document, with everything that it refers to. */
import type { Operation, Parameter, RequestBody } from './operation.ts';
import { readParameter } from './parameter.ts';
import { undescribed } from './parameter-value.ts';
import { fieldOf, operationAt, type PathItem, parametersOf, type Report } from './path-item.ts';
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
  readonly parameters: Map<JsonObject, Parameter | null | Malformed>;
  readonly bodies: Map<JsonObject, RequestBody | Malformed>;
  /** As they are written, for all operations so far. */
  parameter_count: number;
}

/** The longest operation id that a manifest can name. */
const MAX_ID_LENGTH = 256;
/** Of all operations together: a few references can make many. GitHub's document has 3,500. */
const MAX_PARAMETERS = 200_000;

/** Reads the operation of a method, which is in lower case. Throws {@link Malformed}. */
export function readOperation(reading: Reading, path: string, key: string, item: PathItem): Operation {
  const operation = operationAt(item, key);
  const { value } = operation;
  const method = key.toUpperCase();
  // A reply to TRACE repeats the request, with the credential in it (RFC 9110 section 9.3.8).
  if (method === 'TRACE') throw new Malformed(operation.pointer, 'the gateway does not send TRACE');
  return Object.freeze({
    id: readId(reading, operation) ?? derivedId(method, path),
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

/** The operationId of an operation, if it can be one. */
export function writtenId(operation: unknown): string | null {
  const id = textOf(operation, 'operationId') ?? '';
  return id !== '' && id.length <= MAX_ID_LENGTH && !/[\p{Cc}\p{Cs}]/u.test(id) ? id : null;
}

function readId(reading: Reading, { value, pointer }: Located<JsonObject>): string | null {
  const id = writtenId(value);
  const written = member(value, 'operationId');
  if (id === null && written !== undefined && written !== '') {
    reading.report(
      pointerTo(pointer, 'operationId'),
      `operationId must be a text of at most ${MAX_ID_LENGTH} printable characters: method and path are the id`,
    );
  }
  return id;
}

function readParameters(
  reading: Reading,
  path: string,
  item: PathItem,
  operation: Located<JsonObject>,
): readonly Parameter[] {
  reading.parameter_count += lengthOf(fieldOf(item, 'parameters')?.value);
  reading.parameter_count += lengthOf(member(operation.value, 'parameters'));
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
  return Object.freeze(parameters);
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

function readShared(reading: Reading, written: Located<JsonObject>): Parameter | null {
  return once(reading.parameters, written.value, () => readParameter(reading.document, written));
}

function readBody(reading: Reading, { value, pointer }: Located<JsonObject>): RequestBody | null {
  const written = member(value, 'requestBody');
  if (written === undefined) return null;
  const body = follow(reading.document, { value: written, pointer: pointerTo(pointer, 'requestBody') });
  return once(reading.bodies, body.value, () => readRequestBody(reading.document, body));
}

/** Reads what several operations refer to for the first of them; what is malformed is so for all. */
function once<T>(known: Map<JsonObject, T | Malformed>, written: JsonObject, read: () => T): T {
  let found = known.get(written);
  if (found === undefined) {
    try {
      found = read();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      found = error;
    }
    known.set(written, found);
  }
  if (found instanceof Malformed) throw found;
  return found;
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
