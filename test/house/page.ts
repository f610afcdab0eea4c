/** Pages of docs/ that are made from the code: compared with what is committed, or written anew with `UPDATE=1`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

export const ROOT = new URL('../../', import.meta.url);

export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/** Fails when the committed file is another; `UPDATE=1` writes it. */
export function expectPage(path: string, text: string): void {
  if (process.env.UPDATE === '1') writeFileSync(new URL(path, ROOT), text);
  expect(readText(path), `${path} is not current: make generate`).toBe(text);
}

/** A Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** A value in backticks; undefined: nothing. */
export function code(value: unknown): string {
  if (value === undefined) return '';
  return `\`${typeof value === 'string' && value !== '' ? value : JSON.stringify(value)}\``;
}
