/** From an OpenAPI 3.0 or 3.1 document to the operations that the gateway can call. */
import { DocumentError } from './document-error.ts';
import type { Operation } from './operation.ts';
import { fieldOf, methodsOf, type Report, readPathItem } from './path-item.ts';
import { derivedId, pathFault, withoutFragment } from './path-template.ts';
import { type Reading, readOperation, writtenId } from './read-operation.ts';
import { isObject, Malformed, member, nounOf, pointerTo, quote, textOf } from './reference.ts';
import { baseUrl } from './server.ts';

/** What is wrong at a place of the document. */
export interface DocumentProblem {
  /** JSON pointer (RFC 6901); empty: the document. */
  readonly pointer: string;
  readonly message: string;
  /** Of the operation that is left out because of it; null: none is. */
  readonly operation_id: string | null;
}

export interface DocumentIndex {
  /** Empty when the document has none. */
  readonly title: string;
  /** Of the API, not of OpenAPI. */
  readonly version: string;
  /** Base URL of the first server, without a slash at the end; null: the document does not say. */
  readonly server: string | null;
  /** By id, in the order of the document. */
  readonly operations: ReadonlyMap<string, Operation>;
  readonly problems: readonly DocumentProblem[];
}

export interface IndexOptions {
  /** Where the document is from; relative servers are resolved against it. */
  readonly url?: string | undefined;
}

/** What follows so many is counted, not listed. */
const MAX_PROBLEMS = 200;

/**
 * Indexes the value of a document. Nothing of it is kept alive but the texts and defaults that operations show.
 * An operation that cannot be read is a problem and is left out; nothing outside of the document is ever fetched.
 * Throws {@link DocumentError} when it is no OpenAPI 3.0 or 3.1 document.
 */
export function indexDocument(document: unknown, options: IndexOptions = {}): DocumentIndex {
  const work = indexing(document, options);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** The same in steps, one a path: a large document takes a second. */
export function* indexing(document: unknown, options: IndexOptions = {}): Generator<void, DocumentIndex> {
  checkVersion(document);
  const info = member(document, 'info');
  const url = options.url ?? null;
  const problems = collectProblems();
  const server = problems.guard('it names no base URL', null, () => readServer(document, url)) ?? null;
  const { report } = problems;
  const reading: Reading = {
    document,
    url,
    server,
    report,
    parameters: new Map(),
    bodies: new Map(),
    parameter_count: 0,
  };
  const operations = new Map<string, Operation>();
  for (const [path, item] of Object.entries(pathsOf(reading))) {
    readPath(reading, problems, operations, path, item);
    yield;
  }
  return {
    title: textOf(info, 'title') ?? '',
    version: versionOf(info),
    server,
    operations,
    problems: problems.list(),
  };
}

function checkVersion(document: unknown): void {
  if (!isObject(document)) {
    throw new DocumentError(`an OpenAPI document is an object, not ${nounOf(document)}`);
  }
  if (member(document, 'swagger') !== undefined) {
    throw new DocumentError('the document is Swagger 2.0: convert it to OpenAPI 3.0 or 3.1');
  }
  const version = member(document, 'openapi');
  if (version === undefined) {
    throw new DocumentError('the field openapi is missing: this is no OpenAPI document');
  }
  if (typeof version !== 'string') {
    throw new DocumentError(`openapi must be a text such as "3.0.3", not ${nounOf(version)}`);
  }
  if (!/^3\.[01](\.|$)/.test(version)) {
    throw new DocumentError(`OpenAPI ${quote(version)} cannot be read: only 3.0 and 3.1 can`);
  }
}

function versionOf(info: unknown): string {
  const version = member(info, 'version');
  return typeof version === 'string' || typeof version === 'number' ? String(version) : '';
}

function readServer(document: unknown, url: string | null): string | null {
  const servers = member(document, 'servers');
  return baseUrl(servers === undefined ? null : { value: servers, pointer: '/servers' }, url);
}

function pathsOf({ document, report }: Reading): Readonly<Record<string, unknown>> {
  const paths = member(document, 'paths');
  // OpenAPI 3.1 lets a document describe webhooks alone.
  if (paths === undefined) return {};
  if (isObject(paths)) return paths;
  report('/paths', `paths must be an object, not ${nounOf(paths)}`);
  return {};
}

function readPath(
  reading: Reading,
  problems: Problems,
  operations: Map<string, Operation>,
  path: string,
  value: unknown,
): void {
  if (path.startsWith('x-')) return;
  problems.guard(`path ${quote(path)} is left out`, null, () => {
    const pointer = pointerTo('/paths', path);
    const fault = pathFault(withoutFragment(path));
    if (fault !== null) throw new Malformed(pointer, fault);
    const item = readPathItem(reading.document, { value, pointer });
    for (const key of methodsOf(item)) {
      const id = writtenId(fieldOf(item, key)?.value) ?? derivedId(key.toUpperCase(), path);
      problems.guard(`operation ${quote(id)} is left out`, id, () => {
        add(reading, operations, readOperation(reading, path, key, item), path);
      });
    }
  });
}

/** Adds an operation. The later one of two with the same id goes by its method and path. */
function add(reading: Reading, operations: Map<string, Operation>, operation: Operation, path: string): void {
  if (!operations.has(operation.id)) {
    operations.set(operation.id, operation);
    return;
  }
  const pointer = pointerTo(operation.pointer ?? '', 'operationId');
  const taken = `another operation has the id ${quote(operation.id)}`;
  const id = derivedId(operation.method, path);
  if (operations.has(id)) throw new Malformed(pointer, taken);
  reading.report(pointer, `${taken}: this one goes by ${quote(id)}`);
  operations.set(id, Object.freeze({ ...operation, id }));
}

interface Problems {
  readonly report: Report;
  /** Reads a part. When it is malformed, that is a problem, and the part is left out. */
  guard<T>(consequence: string, operation_id: string | null, read: () => T): T | undefined;
  list(): readonly DocumentProblem[];
}

function collectProblems(): Problems {
  const listed: DocumentProblem[] = [];
  let more = 0;
  const add = (problem: DocumentProblem): void => {
    if (listed.length < MAX_PROBLEMS) listed.push(problem);
    else more += 1;
  };
  return {
    report: (pointer, message) => add({ pointer, message, operation_id: null }),
    guard(consequence, operation_id, read) {
      try {
        return read();
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        add({ pointer: error.pointer, message: `${consequence}: ${error.message}`, operation_id });
        return undefined;
      }
    },
    list() {
      if (more === 0) return listed;
      const message = `${more} more problems are not listed`;
      return [...listed, { pointer: '', message, operation_id: null }];
    },
  };
}
