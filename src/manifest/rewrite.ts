/**
 * Puts one manifest into the text of a file, exchanges it, or takes it out. What stands beside it stays as it was
 * written, to the byte; of an exchanged one the comments stay, and whatever says the same as before.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, Lexer, Parser, parseDocument, stringify, type YAMLMap } from 'yaml';
import type { Identity } from './manifest.ts';

type Fields = Readonly<Record<string, unknown>>;

const STYLE = { lineWidth: 0 } as const;

/** A file's text cut at the beginnings of its documents; all pieces together are the text. */
function piecesOf(text: string): string[] {
  const starts: number[] = [];
  for (const { type, offset } of new Parser().parse(text)) if (type === 'document') starts.push(offset);
  // What stands before the first belongs to it: comments, directives.
  const [, ...later] = starts;
  const cuts = [0, ...later, text.length];
  return cuts.slice(1).map((end, index) => text.slice(cuts[index], end));
}

/** What the file says of this manifest; null: nothing. `file` tells whose manifests are in it. */
export function readManifest(text: string, file: string, identity: Identity): unknown {
  const piece = piecesOf(text).find((one) => isOf(documentOf(one), file, identity));
  return piece === undefined ? null : documentOf(piece).toJS();
}

/** The comments that stand with a manifest, each with its `#`. */
export function commentsIn(text: string, file: string, identity: Identity): string[] {
  const piece = piecesOf(text).find((one) => isOf(documentOf(one), file, identity)) ?? '';
  const tokens = [...new Lexer().lex(piece)];
  // A mark goes before what is a value, whatever that begins with.
  return tokens.filter((token, at) => token.startsWith('#') && tokens[at - 1] !== SCALAR);
}

const SCALAR = '\u001f';

/**
 * The text with `manifest` as what it says of `identity`; null takes it out. The result is null when nothing is left in
 * the file, and the text itself when it had nothing to take out.
 */
export function rewriteManifest(
  text: string | null,
  file: string,
  identity: Identity,
  manifest: Fields | null,
): string | null {
  const pieces = text === null ? [] : piecesOf(text);
  const at = pieces.findIndex((piece) => isOf(documentOf(piece), file, identity));
  if (manifest === null) {
    if (at === -1) return text;
    const rest = pieces.toSpliced(at, 1);
    return rest.every((piece) => isEmpty(documentOf(piece))) ? null : rest.join('');
  }
  if (at === -1) return append(text ?? '', stringify(manifest, STYLE));
  return pieces.with(at, exchange(pieces[at]!, manifest)).join('');
}

function append(text: string, manifest: string): string {
  if (text.trim() === '') return manifest;
  return `${text}${text.endsWith('\n') ? '' : '\n'}---\n${manifest}`;
}

function documentOf(piece: string): Document {
  return parseDocument(piece, { version: '1.2', merge: false, keepSourceTokens: true, logLevel: 'silent' });
}

function isEmpty({ contents, errors }: Document): boolean {
  return errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null));
}

function isOf(document: Document, file: string, { kind, tenant, name }: Identity): boolean {
  const at = (...path: string[]): unknown => (isMap(document.contents) ? document.getIn(path) : undefined);
  const owner = /^tenants\/([^/]+)\//.exec(file)?.[1] ?? null;
  return (
    at('kind') === kind &&
    at('metadata', 'name') === name &&
    (at('metadata', 'tenant') ?? owner ?? null) === tenant
  );
}

function exchange(piece: string, manifest: Fields): string {
  const document = documentOf(piece);
  // A document with faults has no comments that could be kept safely.
  if (document.errors.length > 0 || !isMap(document.contents)) {
    return `${piece.startsWith('---') ? '---\n' : ''}${stringify(manifest, STYLE)}`;
  }
  if (isDeepStrictEqual(document.toJS(), manifest)) return piece;
  amend(document, document.contents, manifest);
  const flowCollectionPadding = !/[[{][^\s\]}]/.test(piece);
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(piece);
  const written = document.toString({ ...STYLE, flowCollectionPadding, indentSeq });
  const begun = piece.startsWith('---') && !written.startsWith('---') ? `---\n${written}` : written;
  // The end of a document that another one follows.
  return `${begun}${/\n\.\.\.\s*$/.test(piece) && !/\n\.\.\.\s*$/.test(begun) ? '...\n' : ''}`;
}

/** Makes a mapping say what is wanted by the fewest changes. */
function amend(document: Document, map: YAMLMap, wanted: Fields): void {
  const keys = map.items.map(({ key }) => String(isScalar(key) ? key.value : key));
  for (const key of keys) if (!Object.hasOwn(wanted, key)) map.delete(key);
  for (const [key, value] of Object.entries(wanted)) {
    const node = map.get(key, true);
    const current = node === undefined ? undefined : (node as { toJS(d: Document): unknown }).toJS(document);
    if (map.has(key) && isDeepStrictEqual(current, value)) continue;
    if (isMap(node) && isFields(value)) amend(document, node, value);
    else if (isScalar(node) && isPlain(value)) node.value = value;
    else map.set(key, document.createNode(value));
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}
