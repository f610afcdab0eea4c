/** What the house's checks read of a source file: its code without comments and texts, and what it imports. */

export interface Import {
  readonly specifier: string;
  /** Imported for its types alone, so that nothing of it is there at run time. */
  readonly type_only: boolean;
  /** The values named, such as `visible`; empty for a whole module. */
  readonly values: readonly string[];
}

export interface Source {
  /** Below src/, such as `policy/match.ts`. */
  readonly file: string;
  /** The text with comments, string contents and regular expressions blanked; templates stay, for what they run. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*/;
const TEXT = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/;
const TEMPLATE = /`(?:\\[\s\S]|[^`\\])*`/;
/** A slash divides after a name, a number or a bracket, else it begins an expression. */
const EXPRESSION = /(?<=(?:[(,=:[!&|?{};>]|\breturn|^)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//m;
const LEXEME = new RegExp(
  [COMMENT, TEXT, TEMPLATE, EXPRESSION].map((part) => `(${part.source})`).join('|'),
  'gm',
);

/** `import a, {b} from 'x'`, `export {b} from 'x'`, `export * from 'x'`. */
const FROM = /\b(import|export)\s+([^'"`;()]*?)\s*\bfrom\s*(['"])(.+?)\3/g;
const BARE = /\bimport\s*(['"])(.+?)\1/g;
/** `import('x')`, also as a type. */
const DYNAMIC = /\bimport\(\s*(['"])(.+?)\1\s*\)/g;

export function readSource(file: string, text: string): Source {
  const uncommented = blank(text, { texts: false });
  return { file, code: blank(text, { texts: true }), imports: importsOf(uncommented) };
}

/** Blanks without moving anything: offsets and lines stay. */
function blank(text: string, { texts }: { texts: boolean }): string {
  return text.replaceAll(LEXEME, (whole, comment, string, template, expression) => {
    if (comment === undefined && (!texts || template !== undefined)) return whole;
    const quote = string === undefined && expression === undefined ? ' ' : whole[0];
    return `${quote}${whole.slice(1, -1).replaceAll(/[^\n]/g, ' ')}${quote}`;
  });
}

function importsOf(text: string): Import[] {
  const imports: Import[] = [];
  for (const [, , clause = '', , specifier = ''] of text.matchAll(FROM)) {
    const values = valuesOf(clause);
    const named = clause.includes('{') && !/^\s*\w+\s*,/.test(clause);
    const type_only = /^type\b/.test(clause) || (named && values.length === 0);
    imports.push({ specifier, type_only, values: type_only ? [] : values });
  }
  for (const [, , specifier = ''] of text.matchAll(BARE)) {
    imports.push({ specifier, type_only: false, values: [] });
  }
  for (const [, , specifier = ''] of text.matchAll(DYNAMIC)) {
    imports.push({ specifier, type_only: false, values: [] });
  }
  return imports;
}

function valuesOf(clause: string): string[] {
  const [, names = ''] = /\{([^}]*)\}/.exec(clause) ?? [];
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((name) => name.split(/\s+as\s+/)[0]!);
}
