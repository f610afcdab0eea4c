/** What every command shares: exit codes, its error, and where it prints. */

/** As docs/reference/cli.md has them. */
export const EXIT = { ok: 0, failed: 1, changes: 2, held: 3, internal: 70, pipe_closed: 141 } as const;

/** A failure that the user can mend; an empty message: the command has said all already. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit_code: number;
  constructor(message: string, exit_code: number = EXIT.failed) {
    super(message);
    this.exit_code = exit_code;
  }
}

/** Standard output and error, or what a test puts in their place. */
export interface Console {
  out(text: string): void;
  err(text: string): void;
}

/** The options that every command has. */
export interface OutputOptions {
  readonly output: 'text' | 'json';
}

/** Prints `value` as JSON, or `text` as it is. */
export function print(console: Console, options: OutputOptions, value: unknown, text: string): void {
  console.out(options.output === 'json' ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`);
}

/** Rows as aligned columns; the first row is the head. A row is one line, whatever its texts hold. */
export function table(rows: readonly (readonly string[])[]): string {
  const lines = rows.map((row) => row.map((cell) => cell.replace(/[\s\p{Cc}]+/gu, ' ').trim()));
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((row) => row[column]?.length ?? 0)),
  );
  return lines
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
