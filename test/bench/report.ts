/** How a benchmark tells what it measured: a table for people, a JSON file for programs. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export type Row = readonly (string | number)[];

export function printTable(rows: readonly Row[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows)
    console.log(`  ${row.map((cell, i) => String(cell).padStart(widths[i]!)).join('   ')}`);
}

/** Writes the results, and on what machine they were measured. */
export function writeResults(file: string, results: Readonly<Record<string, unknown>>): void {
  const machine = {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    cores: availableParallelism(),
  };
  writeFileSync(file, `${JSON.stringify({ machine, ...results }, null, 2)}\n`);
}

/** Two decimal places. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Of ascending values. */
export function quantile(ascending: readonly number[], q: number): number {
  return rounded(ascending[Math.ceil(ascending.length * q) - 1] ?? 0);
}
