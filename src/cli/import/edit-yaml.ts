/**
 * Changes single fields in the text of a manifest. All else stays to the letter: comments, order, quotes, white space.
 * Where that is not possible the manifest is written anew from its tree, which keeps comments and order.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  Document,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Identity } from '../../manifest/manifest.ts';
import { readManifest, rewriteManifest } from '../../manifest/rewrite.ts';

export interface Edit {
  readonly path: readonly (string | number)[];
  /** undefined: the field is removed. */
  readonly value: unknown;
}

/** What every file of an import says first. */
export const COMMENT =
  'Made by `seal-gateway import openapi`. Edit it as you like: the next import keeps what was edited.';

const WIDTH = 100;
const STYLE = { lineWidth: 0, flowCollectionPadding: false } as const;

/** A value as YAML, ready for a pull request: block style, short lists of words on one line. */
export function writeYaml(value: unknown, comment: string | null = null): string {
  const document = documentOf(value);
  visit(document, {
    Seq(_, list) {
      const words = list.items.every((item) => isScalar(item) && !String(item.value).includes('\n'));
      if (words && JSON.stringify(list.toJSON()).length <= WIDTH) list.flow = true;
    },
  });
  const head = (comment ?? '').replace(/^/gm, '# ');
  return `${comment === null ? '' : `${head}\n`}${document.toString(STYLE)}`;
}

/** The text of `file` with one of its manifests changed. Throws when that would not give what is asked for. */
export function editManifest(text: string, file: string, identity: Identity, edits: readonly Edit[]): string {
  const wanted = edited(readManifest(text, file, identity), edits);
  const anew = rewriteManifest(text, file, identity, wanted as Readonly<Record<string, unknown>>);
  const all = valuesOf(anew ?? '');
  if (!isDeepStrictEqual(readManifest(anew ?? '', file, identity), wanted))
    throw new Error('the file cannot be changed without changing more than is meant');
  const isMeant: IsMeant = (value) => isDeepStrictEqual(whoIs(value), whoIs(wanted));
  const inPlace = attempt(() => edits.reduce((current, edit) => editOne(current, isMeant, edit), text));
  return inPlace !== null &&
    isDeepStrictEqual(
      attempt(() => valuesOf(inPlace)),
      all,
    )
    ? inPlace
    : anew!;
}

/** Whether a document is the one that is meant, by its value. */
type IsMeant = (value: unknown) => boolean;

function whoIs(value: unknown): unknown {
  const { kind, metadata } = (value ?? {}) as { readonly kind?: unknown; readonly metadata?: Fields };
  return [kind, metadata?.name, metadata?.tenant];
}

type Fields = Readonly<Record<string, unknown>>;

/** Manifests hold no aliases: what is there twice is written twice. */
function documentOf(value: unknown): Document {
  return new Document(value, { aliasDuplicateObjects: false });
}

function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function parsed(text: string): Document.Parsed[] {
  const documents = parseAllDocuments(text, { version: '1.2', uniqueKeys: false, stringKeys: true });
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0))
    throw new Error('the file cannot be read as YAML');
  return documents;
}

function valuesOf(text: string): unknown[] {
  return parsed(text).map((document) => document.toJS());
}

function edited(value: unknown, edits: readonly Edit[]): unknown {
  const document = documentOf(value);
  for (const { path, value: next } of edits) {
    if (next === undefined) document.deleteIn(path);
    else document.setIn(path, document.createNode(next));
  }
  return document.toJS();
}

type BlockMap = YAMLMap<Scalar, Node | null>;
type Entry = Pair<Scalar, Node | null>;

/** Throws where the text is not of a shape that this can change. */
function editOne(text: string, isMeant: IsMeant, { path, value }: Edit): string {
  const document = parsed(text).find((one) => isMeant(one.toJS()))!;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const key = String(path.at(-1));
  if (!isMap(parent)) throw new Error('no map');
  const map = parent as unknown as BlockMap;
  const entry = map.items.find((pair) => pair.key.value === key);
  if (map.flow === true) return editFlow(text, map, key, value);
  if (entry === undefined) return value === undefined ? text : insert(text, map, key, value);
  return value === undefined ? remove(text, map, entry) : replace(text, entry, key, value);
}

/** A map on one line is written anew on one line. */
function editFlow(text: string, map: BlockMap, key: string, value: unknown): string {
  const { [key]: _, ...rest } = map.toJSON() as Record<string, unknown>;
  const next = value === undefined ? rest : { ...(map.toJSON() as object), [key]: value };
  const written = documentOf(next);
  visit(written, {
    Collection(_key, collection) {
      collection.flow = true;
    },
  });
  const [start, end] = map.range!;
  return text.slice(0, start) + written.toString(STYLE).trimEnd() + text.slice(end);
}

function insert(text: string, map: BlockMap, key: string, value: unknown): string {
  const last = map.items.at(-1)!;
  const column = columnOf(text, map.items[0]!.key.range![0]);
  const end = lineEnd(text, endOf(text, last));
  const line = `${' '.repeat(column)}${entryText(key, value, column)}`;
  return `${text.slice(0, end)}\n${line}${text.slice(end)}`;
}

function replace(text: string, entry: Entry, key: string, value: unknown): string {
  const [start] = entry.key.range!;
  return text.slice(0, start) + entryText(key, value, columnOf(text, start)) + text.slice(endOf(text, entry));
}

function remove(text: string, map: BlockMap, entry: Entry): string {
  const [start] = entry.key.range!;
  const line = start - columnOf(text, start);
  if (map.items.length === 1 || text.slice(line, start).trim() !== '')
    throw new Error('not a line of its own');
  return text.slice(0, line) + text.slice(lineEnd(text, endOf(text, entry)) + 1);
}

function entryText(key: string, value: unknown, column: number): string {
  const lines = writeYaml({ [key]: value })
    .trimEnd()
    .split('\n');
  return lines
    .map((line, index) => (index === 0 || line === '' ? line : ' '.repeat(column) + line))
    .join('\n');
}

function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf('\n', offset - 1) + 1);
}

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end;
}

/** Where an entry ends, without what follows it: blank lines and comments are nobody's. */
function endOf(text: string, { key, value }: Entry): number {
  return value === null || value === undefined ? key.range![1] + 1 : endOfNode(text, value);
}

function endOfNode(text: string, node: Node): number {
  const [start, end] = node.range!;
  if (isCollection(node) && node.flow !== true) {
    const last = node.items.at(-1);
    if (isSeq(node) && last !== undefined) return endOfNode(text, last as Node);
    if (isMap(node) && last !== undefined) return endOf(text, last as unknown as Entry);
  }
  // A text in block style takes the ends of its lines with it.
  return start + text.slice(start, end).trimEnd().length;
}
