/**
 * Paths as policy compares them: one spelling for each file, so that no second spelling slips past a rule
 * (docs/concepts.md, Security contexts).
 */

import { decodeFully } from '../percent.ts';

/**
 * The one spelling of a path: percent-decoded until nothing changes, backslashes as slashes, no doubled or
 * trailing slash, no dot segment. An absolute path stays absolute and a relative one relative (`.` when nothing
 * is left of it). Letters and their case are left alone.
 *
 * null, which every rule treats as "not allowed": an empty path; one that climbs out of its root or start; one
 * with NUL; one that is not UTF-8 when decoded (as overlong forms are not), or is encoded more than eight times
 * over; one that compatibility folding (NFKC) would give a slash, a backslash or a dot segment (`．．`, `／`),
 * since some file server will fold it.
 */
export function normalizePath(text: string): string | null {
  const decoded = decodeFully(text);
  if (decoded === null || decoded === '' || decoded.includes('\0')) return null;
  const slashed = decoded.replaceAll('\\', '/');
  const kept: string[] = [];
  for (const segment of slashed.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') {
      if (kept.pop() === undefined) return null;
      continue;
    }
    if (foldsToStructure(segment)) return null;
    kept.push(segment);
  }
  const joined = kept.join('/');
  if (slashed.startsWith('/')) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

function foldsToStructure(segment: string): boolean {
  const folded = segment.normalize('NFKC');
  return folded !== segment && (folded === '.' || folded === '..' || /[/\\]/.test(folded));
}
