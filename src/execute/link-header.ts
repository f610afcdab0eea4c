/** The `Link` header (RFC 8288, section 3). */

const TARGET = /[\s,]*<([^>]*)>/y;
const PARAMETER = /\s*;\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/y;

/**
 * The target of the first link with `rel="next"`, as written; null: there is none. A link about another resource
 * (`anchor`) says nothing of this one. What is no link ends the reading.
 */
export function nextLink(header: string): string | null {
  let at = 0;
  for (;;) {
    TARGET.lastIndex = at;
    const target = TARGET.exec(header);
    if (target === null) return null;
    at = TARGET.lastIndex;
    const parameters = new Map<string, string>();
    for (;;) {
      PARAMETER.lastIndex = at;
      const parameter = PARAMETER.exec(header);
      if (parameter === null) break;
      at = PARAMETER.lastIndex;
      const name = parameter[1]!.toLowerCase();
      // Section 3.3: of several `rel` the first counts.
      if (!parameters.has(name))
        parameters.set(name, parameter[2]?.replaceAll(/\\(.)/g, '$1') ?? parameter[3] ?? '');
    }
    const types = parameters.get('rel')?.toLowerCase().split(/\s+/) ?? [];
    if (types.includes('next') && !parameters.has('anchor')) return target[1]!;
  }
}
