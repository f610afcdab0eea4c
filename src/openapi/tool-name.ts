/**
 * Names for tools that are made of operations: resources, then what is done with them, such as `repos.issues.list`. A
 * name depends on its own operation alone as long as no other has the same, so that a document may grow and names stay.
 */
import { hash } from 'node:crypto';
import type { Operation } from './operation.ts';
import { derivedId } from './path-template.ts';

/** What tools may be called. */
const MAX_LENGTH = 128;
/** Room for a dot and a digest. */
const MAX_READABLE = MAX_LENGTH - 1 - 8;

/** What an operation does by its method: on one thing of a collection, and on the whole. */
const VERBS: Readonly<Record<string, readonly [one: string, all: string]>> = {
  GET: ['get', 'list'],
  HEAD: ['check', 'check'],
  OPTIONS: ['options', 'options'],
  POST: ['create', 'create'],
  PUT: ['set', 'set'],
  PATCH: ['update', 'update'],
  DELETE: ['delete', 'delete'],
};

/**
 * Verbs of an `operationId` that are taken instead. None that reads is taken for what writes and none that writes for
 * what reads, and all that deletes is called so: patterns such as `*.list` and `*.delete` can be trusted.
 */
const OWN_VERBS: Readonly<Record<string, ReadonlySet<string>>> = {
  GET: new Set([
    ...['get', 'list', 'search', 'find', 'query', 'count', 'check', 'download', 'export', 'compare'],
    // By GET against all advice, and no list for that.
    ...['login', 'logout'],
  ]),
  POST: new Set(['create', 'add', 'send', 'upload', 'search', 'query', 'invite', 'submit', 'run']),
  PUT: new Set(['add', 'set', 'replace', 'update', 'create', 'upload', 'enable', 'merge', 'lock']),
  PATCH: new Set(['update', 'rename', 'move']),
};

/** Segments that say where an API is, not what a resource is. */
const PLACE = /^(api|rest|v\d+(\.\d+)*)$/i;

/** The name of each operation, by id. With a prefix, it comes first: the tools of all APIs share their names. */
export function toolNames(
  operations: Iterable<Operation>,
  prefix: string,
  taken: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const used = new Set(taken);
  let left = [...operations];
  for (const nameOf of [shortName, plainName, nearName, longName, uniqueName]) {
    const wanted = Map.groupBy(left, (operation) => nameOf(operation, prefix));
    const open: Operation[] = [];
    for (const [name, wanting] of wanted) {
      // Where several want one name none has it, whatever their order.
      if (wanting.length > 1 || used.has(name)) open.push(...wanting);
      else names.set(wanting[0]!.id, name);
    }
    for (const name of names.values()) used.add(name);
    left = open;
  }
  return names;
}

type NameOf = (operation: Operation, prefix: string) => string;

const shortName: NameOf = (operation, prefix) => {
  const { resources, verb } = partsOf(operation);
  return joined(prefix, resources.filter(isText), verb);
};

/** With the verb of the method: documents call both `GET /rules` and `GET /rules/{id}` get. */
const plainName: NameOf = (operation, prefix) => {
  const { resources, plain_verb } = partsOf(operation);
  return joined(prefix, resources.filter(isText), plain_verb);
};

/** With the parameter at the end of the path, which tells `DELETE /labels` and `DELETE /labels/{name}` apart. */
const nearName: NameOf = (operation, prefix) => {
  const { resources, verb } = partsOf(operation);
  const isKept = (one: Segment) => isText(one) || one === resources.at(-1);
  return joined(prefix, resources.filter(isKept), verb);
};

/** With all parameters, which tell `/a/b` and `/a/{id}/b` apart. */
const longName: NameOf = (operation, prefix) => {
  const { resources, verb } = partsOf(operation);
  return joined(prefix, resources, verb);
};

/** With a digest of the id, which no other operation has: some documents tell them apart by the fragment of a path. */
const uniqueName: NameOf = (operation, prefix) => {
  const digest = hash('sha256', operation.id, 'hex').slice(0, 7);
  return `${cut(longName(operation, prefix))}.x${digest}`;
};

function joined(prefix: string, resources: readonly Segment[], verb: string): string {
  const words = resources.map(({ text, parameter }) => (parameter ? `by_${text}` : text));
  const name = [prefix, ...words, verb].filter((word) => word !== '').join('.');
  return name.length <= MAX_LENGTH ? name : cut(name);
}

function cut(name: string): string {
  return name.slice(0, MAX_READABLE).replace(/[._]+$/, '');
}

function isText({ parameter }: Segment): boolean {
  return !parameter;
}

interface Segment {
  readonly text: string;
  readonly parameter: boolean;
}

interface Parts {
  readonly resources: readonly Segment[];
  readonly verb: string;
  /** By the method alone. */
  readonly plain_verb: string;
}

function partsOf({ method, path, id }: Operation): Parts {
  const segments = segmentsOf(path);
  const isOwnId = id !== derivedId(method, path);
  const idWords = isOwnId ? wordsOf(/[^/.:#]*$/.exec(id)?.[0] ?? '') : [];
  const last = segments.at(-1);
  const custom = customVerb(path);
  if (custom !== null && !belies(method, custom))
    return { resources: segments, verb: custom, plain_verb: custom };
  if (isAct(method, path, segments, idWords) && !belies(method, last!.text))
    return { resources: segments.slice(0, -1), verb: last!.text, plain_verb: last!.text };
  const [one, all] = VERBS[method] ?? ['call', 'call'];
  const plain_verb = last === undefined || last.parameter ? one : all;
  // What creates or updates sets.
  const isOwn = OWN_VERBS[method]?.has(idWords[0] ?? '') === true && idWords[1] !== 'or';
  return { resources: segments, verb: isOwn ? idWords[0]! : plain_verb, plain_verb };
}

/** Whether a verb would say that something is read which is not, or hide that it is deleted. */
function belies(method: string, verb: string): boolean {
  return method === 'DELETE' || (method !== 'GET' && /^(get|list)$/.test(verb));
}

/** `/projects/{id}:undelete`; null: the path has none. */
function customVerb(path: string): string | null {
  const verb = /[^/]:([a-z][\w-]*)$/i.exec(path)?.[1];
  return verb === undefined ? null : wordsOf(verb).join('_');
}

/** Ids such as `customers_create` begin with the resource, so that a segment which begins the same is no verb. */
const GENERIC = /^(create|list|read|retrieve|update|delete|destroy|get|set|add|post|put|patch)$/;

/** Whether a path ends with what is done: `/customers/{id}/activate`, `/pets/findByStatus`, `/chat.postMessage`. */
function isAct(
  method: string,
  path: string,
  segments: readonly Segment[],
  idWords: readonly string[],
): boolean {
  const [before, last] = [segments.at(-2), segments.at(-1)];
  if (last === undefined || last.parameter || !(method in OWN_VERBS) || method === 'PATCH') return false;
  const [word] = last.text.split('_');
  if (OWN_VERBS[method]!.has(word!) && idWords[0] === word) return true;
  if (method === 'GET') return false;
  if (idWords.length > 1 && GENERIC.test(idWords.at(-1)!)) return false;
  if (/\w\.\w+$/.test(path) && idWords.join('_').endsWith(last.text)) return true;
  return idWords[0] === word && before?.parameter === true && !word!.endsWith('s');
}

function segmentsOf(path: string): Segment[] {
  const written = path
    .replace(/:[a-z][\w-]*$/i, '')
    .split('/')
    .filter(Boolean);
  const start = written.findIndex((segment) => !PLACE.test(segment));
  return (start === -1 ? [] : written.slice(start)).flatMap((segment) => {
    const parameter = /\{/.test(segment);
    // `chat.postMessage` is two words of a path to its author, `items.json` one in some format.
    const parts = parameter ? [segment] : segment.replace(/\.(json|xml)$/i, '').split('.');
    return parts
      .map((part) => ({ text: wordsOf(part).join('_'), parameter }))
      .filter(({ text }) => text !== '');
  });
}

/** `listForRepo`, `list-for-repo` and `HTTPServer` as words in lower case. */
function wordsOf(text: string): string[] {
  return text
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean);
}
