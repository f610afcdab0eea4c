/**
 * Reads a file as YAML 1.2, or JSON, which is a part of it: several documents, no aliases, no merge keys, no
 * custom tags, no directives, unique keys. Hostile input costs no more than its size: nesting, tokens, errors
 * and documents are counted while the library reads, before what is quadratic or recursive in it is reached.
 */
import { Composer, CST, type Document, isNode, Lexer, LineCounter, Parser } from 'yaml';
import { compareDiagnostics, type Diagnostic, errorAt, type Position } from './diagnostic.ts';
import { readDocument } from './document.ts';
import { readPlainYaml } from './plain-yaml.ts';
import type { Located } from './position.ts';
import { explainSyntax } from './syntax.ts';
import { decodeText } from './text.ts';

export interface ParsedDocument extends Located {
  /** False: there are errors, and the value is what could be read in spite of them. */
  readonly valid: boolean;
  /** Those of the file that are about this document. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface ParsedFile {
  readonly documents: readonly ParsedDocument[];
  /** All of them, in order. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Bytes of a file, without the OpenAPI documents that its ApiSpecs hold inline. */
export const MAX_MANIFEST_BYTES = 256 * 1024;
/** Bytes of a file with them. */
export const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** Collections within collections. */
const MAX_DEPTH = 64;
/** The shortest valid manifest has 75 bytes, so a file of 256 KiB never holds more. */
const MAX_DOCUMENTS = 4096;
/** Real documents have a token for every 3.6 bytes; 8 MiB of brackets and commas would take minutes. */
const MAX_TOKENS = 2_500_000;
/** What follows so many is most likely their echo. */
const MAX_ERRORS = 20;

const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  strict: true,
  stringKeys: true,
  // The library compares each key with each other; document.ts looks for duplicates with a Set.
  uniqueKeys: false,
  resolveKnownTags: false,
  prettyErrors: false,
  logLevel: 'silent',
} as const;

/** Ends the reading of a file whose rest is not worth it; what was found so far is told. */
class Stop extends Error {}

/** The documents of a file and what is wrong with its syntax. `file` is only named in diagnostics. */
export function parseFile(file: string, bytes: Uint8Array): ParsedFile {
  const oversize = checkSize(file, bytes);
  if (oversize !== null) return { documents: [], diagnostics: [oversize] };
  const text = decodeText(file, bytes);
  if (typeof text !== 'string') return { documents: [], diagnostics: [text] };
  const plain = bytes.length <= MAX_MANIFEST_BYTES ? readPlainYaml(text) : null;
  if (plain !== null)
    return { documents: plain.map((one) => ({ ...one, valid: true, diagnostics: [] })), diagnostics: [] };
  return readText(file, text, bytes.length);
}

/** Reads with the library, which can say of everything what is wrong with it. */
export function readText(file: string, text: string, byteLength: number): ParsedFile {
  const diagnostics: Diagnostic[] = [];
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const byDocument = new Map<number, Diagnostic[]>();
  let stopped = false;
  const reportOf: ReportOf =
    (index) =>
    (offset, rule, message, hint = null) => {
      // The composer catches what its callbacks throw, and reports that.
      if (stopped) throw new Stop();
      const diagnostic = errorAt(file, at(offset), rule, message, hint);
      if (diagnostics.length < MAX_ERRORS) {
        diagnostics.push(diagnostic);
        byDocument.set(index, [...(byDocument.get(index) ?? []), diagnostic]);
        return;
      }
      stopped = true;
      diagnostics.push(errorAt(file, at(offset), 'too-many-errors', 'there are more errors from here on'));
      throw new Stop();
    };

  let documents: ParsedDocument[] = [];
  try {
    const composed = compose(text, lines, reportOf);
    let size = text.length;
    documents = composed.map(({ document, valid }, index) => {
      const report = reportOf(index);
      const located = readDocument(document.contents, { at, report, maxDepth: MAX_DEPTH });
      size -= inlineLength(document, located.value);
      const own = (byDocument.get(index) ?? []).sort(compareDiagnostics);
      return { ...located, valid: valid && own.length === 0, diagnostics: own };
    });
    if (size > MAX_MANIFEST_BYTES) {
      return { documents: [], diagnostics: [tooLarge(file, byteLength)] };
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    documents = [];
  }
  return { documents, diagnostics: diagnostics.sort(compareDiagnostics) };
}

interface Composed {
  readonly document: Document.Parsed;
  readonly valid: boolean;
}

type Report = (offset: number, rule: string, message: string, hint?: string | null) => void;
/** For what is wrong with the document of this index; -1: before the first one. */
type ReportOf = (index: number) => Report;

/** Drives the lexer, parser and composer of the library token by token, so that it can be stopped. */
function compose(text: string, lines: LineCounter, reportOf: ReportOf): Composed[] {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer(OPTIONS);
  const found: Document.Parsed[] = [];
  const faulty = new Set<number>();
  let started = 0;
  let current: CST.Token | null = null;
  let lastFaultyLine = 0;
  /** The document in which a quote is never closed: all that follows is text to the reader. */
  let swallowed = -2;
  const report: Report = (...fault) => reportOf(started - 1)(...fault);

  const syntaxError = (offset: number, code: string, message: string): void => {
    faulty.add(started - 1);
    // What follows on the same line is the echo of the first fault.
    const { line } = lines.linePos(offset);
    if (line === lastFaultyLine) return;
    lastFaultyLine = line;
    const fault = explainSyntax(code, message);
    report(offset, fault.rule, fault.message, fault.hint);
  };
  // The composer keeps every error of a document, and a hostile one has as many as bytes: take them as they come.
  Object.assign(composer, {
    onError: (source: unknown, code: string, message: string) => {
      if (swallowed === started - 1) return;
      const offset = offsetOf(source);
      const unclosed = message.startsWith('Missing closing');
      syntaxError(unclosed ? openingQuote(current, offset) : offset, code, message);
      if (unclosed) swallowed = started - 1;
    },
  });
  const take = (token: CST.Token): void => {
    current = token;
    if (token.type === 'error') {
      syntaxError(token.offset, 'UNEXPECTED_TOKEN', token.message);
      return;
    }
    if (token.type === 'directive') {
      report(
        token.offset,
        'yaml-directive',
        'directives are not allowed',
        'remove the line that begins with %',
      );
      throw new Stop();
    }
    if (token.type === 'document' && ++started > MAX_DOCUMENTS) {
      report(token.offset, 'too-many-documents', `the file holds more than ${MAX_DOCUMENTS} documents`);
      throw new Stop();
    }
    found.push(...composer.next(token));
  };

  lines.addNewLine(0);
  let tokens = 0;
  for (const lexeme of new Lexer().lex(text)) {
    // The stack has the document below and may have a scalar above the collections.
    if (parser.stack.length > MAX_DEPTH + 2) {
      report(parser.offset, 'too-deep', `collections are nested more than ${MAX_DEPTH} deep`);
      throw new Stop();
    }
    if (++tokens > MAX_TOKENS) {
      report(parser.offset, 'too-many-tokens', 'the file holds more values than a document of its size has');
      throw new Stop();
    }
    for (const token of parser.next(lexeme)) take(token);
  }
  for (const token of parser.end()) take(token);
  found.push(...composer.end());
  return found.map((document, index) => ({ document, valid: !faulty.has(index) }));
}

/** An error of the composer names an offset, a range, or a token. */
function offsetOf(source: unknown): number {
  if (typeof source === 'number') return source;
  if (Array.isArray(source)) return Number(source[0]);
  return (source as { offset: number }).offset;
}

/** Where the quoted text begins that was still open at `end`, which is all that the library tells. */
function openingQuote(token: CST.Token | null, end: number): number {
  let offset = end;
  if (token?.type !== 'document') return offset;
  CST.visit(token, ({ key, value }) => {
    for (const node of [key ?? null, value ?? null]) {
      if (CST.isScalar(node) && node.offset + node.source.length === end) offset = node.offset;
    }
  });
  return offset;
}

/** Characters of the OpenAPI document that an ApiSpec holds inline; 0 for other documents. */
function inlineLength(document: Document.Parsed, value: unknown): number {
  if ((value as { kind?: unknown } | null)?.kind !== 'ApiSpec') return 0;
  const inline = document.getIn(['spec', 'source', 'inline'], true);
  return isNode(inline) && inline.range ? inline.range[1] - inline.range[0] : 0;
}

/** Only what names an ApiSpec with an inline document is worth reading when it is larger than a manifest. */
export function checkSize(file: string, bytes: Uint8Array): Diagnostic | null {
  if (bytes.length <= MAX_MANIFEST_BYTES) return null;
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const mayHold = content.includes('ApiSpec') && content.includes('inline');
  return mayHold && bytes.length <= MAX_FILE_BYTES ? null : tooLarge(file, bytes.length);
}

function tooLarge(file: string, size: number): Diagnostic {
  const most = `${MAX_MANIFEST_BYTES / 1024} KiB`;
  return errorAt(
    file,
    { line: 1, column: 1 },
    'file-too-large',
    `the file has ${Math.ceil(size / 1024)} KiB; manifests may have ${most}, inline OpenAPI documents apart`,
    'split the file; a large OpenAPI document stands better in a file of its own (source.file)',
  );
}
