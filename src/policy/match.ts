/**
 * Compiles the patterns of security contexts and scopes into matchers. Every matcher runs
 * in time linear in its text: literal pieces are searched from left to right, and nothing is ever tried again.
 */
import type { DenyRule, Matcher } from '../snapshot/snapshot.ts';
import { canonicalHost, withoutTrailingDot } from './domain.ts';
import { normalizePath } from './path.ts';

const MAX_PATTERN_LENGTH = 256;

/**
 * A pattern over dotted tool names: each `*` stands for any text between what is written before and after it,
 * dots included. A star that fills whole words (`*`, `fs.*`, `*.delete`) stands for at least one character, so
 * `fs.*` matches `fs.read` and `fs.a.b`, but neither `fs` nor `fsadmin`. Case counts.
 *
 * Throws Error when the pattern is empty, has white space or control characters, or is over 256 characters.
 */
export function compileToolPattern(text: string): Matcher {
  checkPattern('tool pattern', text);
  if (/\s/.test(text)) throw new Error(`tool pattern ${quoted(text)} has white space; names have none`);
  return compileGlob(text, '.');
}

/**
 * A pattern over commands and subcommands: each `*` stands for any text, also for none. Case counts.
 *
 * Throws Error for what {@link compileToolPattern} refuses, save that words may be separated by spaces.
 */
export function compileValuePattern(text: string): Matcher {
  checkPattern('value pattern', text);
  return compileGlob(text, null);
}

/**
 * A pattern over normalised paths. Without a star it matches that path and everything below it; with one it
 * matches whole paths, `*` standing for text within a segment and `**` for whole segments: any number of them,
 * at the end at least one.
 *
 * Throws Error also when the pattern has a `..` segment, percent-encoding or a backslash (paths are compared
 * decoded and with slashes), or a `**` beside other text of its segment.
 */
export function compilePathPattern(text: string): Matcher {
  checkPattern('path pattern', text);
  if (/\\|%[0-9a-f]{2}/i.test(text)) {
    throw new Error(`path pattern ${quoted(text)} must be written decoded and with forward slashes`);
  }
  const normal = text.split('/').includes('..') ? null : normalizePath(text);
  if (normal === null) {
    throw new Error(`path pattern ${quoted(text)} is not a plain path; write where it leads, without ".."`);
  }
  return normal.includes('*') ? compileSegments(text, segmentsOf(normal)) : (path) => isWithin(normal, path);
}

/**
 * A pattern over host names as `hostOf` gives them: `example.com` matches that host alone, `*.example.com` its
 * subdomains at any depth but not itself, `*` every host. Case and a trailing dot do not count; other alphabets
 * are compared as punycode.
 *
 * Throws Error when it is not a host name (a URL, a port) or has a star elsewhere.
 */
export function compileDomainPattern(text: string): Matcher {
  checkPattern('domain pattern', text);
  if (text === '*') return (host) => host !== '';
  const wild = text.startsWith('*.');
  const name = canonicalHost(wild ? text.slice(2) : text);
  if (name === null || name.includes('*')) {
    throw new Error(
      `domain pattern ${quoted(text)} is not a host name; write "example.com", "*.example.com" or "*"`,
    );
  }
  if (!wild) return (host) => canonicalCase(host) === name;
  if (/^\[|(^|\.)\d+$/.test(name)) {
    throw new Error(`domain pattern ${quoted(text)} puts a star before an address; write the address alone`);
  }
  const suffix = `.${name}`;
  return (host) => {
    const canonical = canonicalCase(host);
    return canonical.length > suffix.length && canonical.endsWith(suffix);
  };
}

/**
 * An entry of `deny_list`: `tool_pattern`, or `tool_pattern:value_pattern` split at the first colon. The value
 * is matched against paths, commands and subcommands, and a deny reads it generously: without a star it also
 * matches what lies below the path or follows the words (`rollout` denies `rollout status`); with stars they
 * cross slashes as well.
 *
 * Throws Error for what either pattern refuses.
 */
export function compileDenyRule(text: string): DenyRule {
  const colon = text.indexOf(':');
  if (colon < 0) return { text, tool: compileToolPattern(text), value: null };
  return {
    text,
    tool: compileToolPattern(text.slice(0, colon)),
    value: compileDenyValue(text.slice(colon + 1)),
  };
}

/** Patterns that allow what both lists allow; null (no narrowing) yields to the other. */
export function intersectPatterns(
  a: readonly Matcher[] | null,
  b: readonly Matcher[] | null,
): readonly Matcher[] | null {
  if (a === null || b === null) return a ?? b;
  return [(text) => matchesAny(a, text) && matchesAny(b, text)];
}

/** Whether one of the matchers matches; an empty list matches nothing. */
export function matchesAny(matchers: readonly Matcher[], text: string): boolean {
  return matchers.some((matches) => matches(text));
}

/** A matcher's answer, or this one when it throws: true where a match denies, false where it allows. */
export function matchesOr(fallback: boolean, matches: Matcher, text: string): boolean {
  try {
    return matches(text);
  } catch {
    return fallback;
  }
}

function compileDenyValue(text: string): Matcher {
  const glob = compileValuePattern(text);
  const path: Matcher = text.includes('/') ? compilePathPattern(text) : (value) => isWithin(text, value);
  const words: Matcher = (value) => value.startsWith(`${text} `);
  return (value) => glob(value) || path(value) || words(value);
}

function isWithin(top: string, path: string): boolean {
  if (top === '/') return path.startsWith('/');
  if (top === '.') return !path.startsWith('/');
  return path === top || path.startsWith(`${top}/`);
}

/**
 * Literal pieces with gaps between them; a gap is a run of stars. With a separator, a gap that fills whole words
 * takes at least one character. The leftmost place of a piece leaves the most room for those after it, so no
 * other place need be tried.
 */
function compileGlob(text: string, separator: string | null): Matcher {
  const pieces = text.split(/\*+/);
  const first = pieces[0]!;
  const last = pieces[pieces.length - 1]!;
  if (pieces.length === 1) return (value) => value === text;
  const fills = (left: string, right: string): boolean =>
    separator !== null &&
    (left === '' || left.endsWith(separator)) &&
    (right === '' || right.startsWith(separator));
  const gaps = pieces.slice(1).map((piece, i) => (fills(pieces[i]!, piece) ? 1 : 0));
  const middle = pieces.slice(1, -1);
  return (value) => {
    if (!value.startsWith(first)) return false;
    let at = first.length;
    for (const [i, piece] of middle.entries()) {
      const found = value.indexOf(piece, at + gaps[i]!);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return value.length - last.length >= at + gaps[gaps.length - 1]! && value.endsWith(last);
  };
}

/** The same search, segment by segment: blocks of segments with `**` between them. */
function compileSegments(text: string, segments: readonly string[]): Matcher {
  const blocks: Matcher[][] = [[]];
  for (const [i, segment] of segments.entries()) {
    if (segment === '**') {
      if (segments[i - 1] !== '**') blocks.push([]);
    } else if (segment.includes('**')) {
      throw new Error(
        `path pattern ${quoted(text)} has "**" beside other text; it stands alone between slashes`,
      );
    } else {
      blocks[blocks.length - 1]!.push(compileGlob(segment, '/'));
    }
  }
  const first = blocks[0]!;
  const last = blocks[blocks.length - 1]!;
  if (blocks.length === 1) {
    return (path) => {
      const parts = segmentsOf(path);
      return parts.length === first.length && fits(first, parts, 0);
    };
  }
  const open = last.length === 0 ? 1 : 0;
  return (path) => {
    const parts = segmentsOf(path);
    if (!fits(first, parts, 0)) return false;
    let at = first.length;
    for (const block of blocks.slice(1, -1)) {
      while (at < parts.length && !fits(block, parts, at)) at += 1;
      at += block.length;
    }
    const end = parts.length - last.length;
    return end >= at + open && fits(last, parts, end);
  };
}

function fits(block: readonly Matcher[], parts: readonly string[], at: number): boolean {
  return at + block.length <= parts.length && block.every((matches, i) => matches(parts[at + i]!));
}

/** An absolute path begins with an empty segment. */
function segmentsOf(path: string): string[] {
  return path === '/' ? [''] : path.split('/');
}

function canonicalCase(host: string): string {
  return withoutTrailingDot(host.toLowerCase());
}

function checkPattern(what: string, text: string): void {
  if (text.trim() === '') throw new Error(`a ${what} must not be empty`);
  if (text.length > MAX_PATTERN_LENGTH) {
    throw new Error(`a ${what} may have ${MAX_PATTERN_LENGTH} characters; this one has ${text.length}`);
  }
  if (/\p{Cc}/u.test(text)) throw new Error(`${what} ${quoted(text)} has a control character`);
  if (text !== text.trim()) throw new Error(`${what} ${quoted(text)} begins or ends with white space`);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
