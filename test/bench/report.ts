/** How a benchmark tells what it measured: tables for people, bench.json for programs. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const FILE = 'bench.json';

export type Row = readonly (string | number)[];

export function printTable(rows: readonly Row[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows)
    console.log(`  ${row.map((cell, i) => String(cell).padStart(widths[i]!)).join('   ')}`);
}

/** Puts the results of one benchmark beside those of the others. */
export function writeResults(results: Readonly<Record<string, unknown>>): void {
  const others = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
  const machine = {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    cores: availableParallelism(),
  };
  writeFileSync(FILE, `${JSON.stringify({ ...others, machine, ...results }, null, 2)}\n`);
}

/** Two decimal places. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Of ascending values. */
export function quantile(ascending: readonly number[], q: number): number {
  return rounded(ascending[Math.ceil(ascending.length * q) - 1] ?? 0);
}
