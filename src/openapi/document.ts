/** From the bytes of an OpenAPI document to a plain value. */
import { DocumentError } from './document-error.ts';
import { findJsonFault, type SyntaxFault } from './json-syntax.ts';
import { readYaml } from './yaml-syntax.ts';

export interface DocumentLimits {
  readonly max_bytes?: number | undefined;
}

/** The largest documents that are published, GitHub's, have 13 and 14 MB; the numbers below are theirs too. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** 29, with every reference written out. */
const MAX_DEPTH = 128;
/** 258,000, and 1.2 million with every reference written out. */
const MAX_VALUES = 4_000_000;
/** 1.7 million as YAML. So many brackets and commas take five seconds. */
const MAX_TOKENS = 3_000_000;

/** How a JSON document begins, and hardly any in YAML. */
const JSON_START = /^[\s\uFEFF]*\{\s*["}]/;
// Also what the lexer of `yaml` uses for marks of its own (U+0002, U+0018, U+001F), which nobody may forge.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/**
 * The value of a JSON or YAML 1.2 document in UTF-8. Duplicate keys are faults in both. Aliases and merge keys of
 * YAML are shared values, never circles. JSON takes 12 ms a megabyte, YAML 0.3 s: callers that must not be blocked
 * call this in a worker thread. Throws {@link DocumentError}.
 */
export function readDocument(bytes: Uint8Array, limits: DocumentLimits = {}): unknown {
  const most = limits.max_bytes ?? MAX_DOCUMENT_BYTES;
  if (bytes.length > most) {
    throw new DocumentError(`the document has ${bytes.length} bytes, and may have ${most}`);
  }
  const text = decode(bytes);
  const read = JSON_START.test(text) ? readJson(text) : readText(text);
  if ('value' in read) return read.value;
  throw new DocumentError(read.message, positionOf(text, read.offset));
}

type Read = { readonly value: unknown } | SyntaxFault;

function readJson(text: string): Read {
  return findJsonFault(text, MAX_DEPTH) ?? { value: JSON.parse(text) };
}

function readText(text: string): Read {
  const control = CONTROL.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    return { offset: control.index, message: `the document holds the control character U+${code}` };
  }
  return readYaml(text, { depth: MAX_DEPTH, values: MAX_VALUES, tokens: MAX_TOKENS });
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new DocumentError('the document is not UTF-8 text');
    throw error;
  }
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: before.length - lineStart + 1 };
}
