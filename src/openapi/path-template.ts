/** A path with `{names}` in it, and what may stand in their place. */
import { decodeFully } from '../percent.ts';

/** The parts of a path template: even ones are texts, encoded, odd ones are names. */
export function splitPath(path: string): readonly string[] {
  return rawParts(path).map((part, index) => (index % 2 === 1 ? part : encodeText(part)));
}

function rawParts(path: string): readonly string[] {
  return path.split(/\{([^{}]*)\}/);
}

/** The names in a path template, each once. */
export function namesIn(path: string): readonly string[] {
  return [...new Set(rawParts(path).filter((_, index) => index % 2 === 1))];
}

/**
 * The id of an operation that its document gives none, and of a step's method and path. No other operation has
 * it, and it does not depend on any other.
 */
export function derivedId(method: string, path: string): string {
  return `${method} ${path}`;
}

/** Some documents tell operations on one path apart by a fragment, which is never sent. */
export function withoutFragment(path: string): string {
  const hash = path.indexOf('#');
  return hash === -1 ? path : path.slice(0, hash);
}

/** What is wrong with a path template; null: nothing. */
export function pathFault(path: string): string | null {
  if (!path.startsWith('/')) return 'a path must begin with a slash';
  if (!path.isWellFormed() || CONTROL.test(path)) return 'a path may not hold control characters';
  const template = rawParts(path);
  const text = template.filter((_, index) => index % 2 === 0).join('x');
  if (/[{}]/.test(text)) return 'a brace of the path has no counterpart';
  if (/[?#\\]/.test(text)) return 'a path may not hold "?", "#" or "\\"; parameters belong in the query';
  if (template.some((name, index) => index % 2 === 1 && (name === '' || /[/?#\\]/.test(name)))) {
    return 'a name in the path may not be empty or hold "/", "?", "#" or "\\"';
  }
  return text.split('/').some(isDotSegment) ? 'a path may not hold dot segments, in any encoding' : null;
}

/** A text that means the same to everybody, however often it is decoded. */
export const HARMLESS = /^[A-Za-z0-9_-]*$/;

/**
 * Whether a server could take a segment for a step up or to itself: `.` or `..`, in any number of encodings,
 * before a `;` that some servers cut off, or after compatibility folding (`．．`), which some file systems do.
 */
export function isDotSegment(segment: string): boolean {
  if (HARMLESS.test(segment)) return false;
  const decoded = decodeFully(segment);
  return decoded === null || /^\.{1,2}(;|$)/.test(decoded.normalize('NFKC'));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
export const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** RFC 3986 section 3.3: what a path may hold as it is, and what is encoded already; the rest is encoded. */
const ALLOWED = /%[0-9A-Fa-f]{2}|[A-Za-z0-9\-._~!$&'()*+,;=:@/]+/g;

function encodeText(text: string): string {
  let encoded = '';
  let end = 0;
  for (const match of text.matchAll(ALLOWED)) {
    encoded += encodeURIComponent(text.slice(end, match.index)) + match[0];
    end = match.index + match[0].length;
  }
  return encoded + encodeURIComponent(text.slice(end));
}
