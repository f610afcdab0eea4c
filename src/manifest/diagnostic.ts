/** What is wrong with a manifest, and where: one line that editors, CI and people can follow. */

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
}

export interface Diagnostic extends Position {
  /** A manifest with an error is not applied; a warning is only told. */
  readonly severity: 'error' | 'warning';
  /** Stable kebab-case id of the rule. */
  readonly rule: string;
  /** Path below the root, with forward slashes. */
  readonly file: string;
  /** What is wrong; never a secret. */
  readonly message: string;
  /** How to mend it, when there is more to say than the message does. */
  readonly hint: string | null;
}

/** One line, `file:line:column: message (hint)`; a warning says so before its message. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message, hint } = diagnostic;
  const mark = severity === 'warning' ? 'warning: ' : '';
  return onOneLine(`${file}:${line}:${column}: ${mark}${message}${hint === null ? '' : ` (${hint})`}`);
}

/** File names may hold line ends and the escape codes of terminals. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  });
}

/** The order in which diagnostics are printed: by file, line and column, then rule and message. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  return (
    compareText(a.file, b.file) ||
    a.line - b.line ||
    a.column - b.column ||
    compareText(a.rule, b.rule) ||
    compareText(a.message, b.message)
  );
}

/** Order by UTF-16 code units, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A diagnostic of severity error. */
export function errorAt(
  file: string,
  position: Position,
  rule: string,
  message: string,
  hint: string | null = null,
): Diagnostic {
  return {
    severity: 'error',
    rule,
    file,
    line: position.line,
    column: position.column,
    message,
    hint,
  };
}
