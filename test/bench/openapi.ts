/**
 * `make bench`: GitHub's document, read and indexed beside a bare `JSON.parse` of it, as JSON and as YAML of 10 MB, and
 * what is kept of it. Each measurement is a process of its own, so that none finds what another left. Prints a table,
 * writes bench.openapi.json, gates nothing.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { readDocument } from '../../src/openapi/document.ts';
import { type DocumentIndex, indexDocument } from '../../src/openapi/index-document.ts';

const ROUNDS = 5;

interface Measured {
  readonly read_ms: number;
  readonly index_ms: number;
  /** On the heap, after a collection of garbage. */
  readonly kept_mb: number;
  readonly operations: number;
}

interface Row extends Measured {
  readonly document: string;
  readonly mb: number;
  /** `JSON.parse` alone; null: the text is none. */
  readonly parse_ms: number | null;
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** In a process that has done nothing else. */
function measure(file: string): Measured {
  const before = heap();
  const { index, ...times } = load(file);
  return { ...times, kept_mb: (heap() - before) / 2 ** 20, operations: index.operations.size };
}

/** Apart, so that nothing of the document is within reach when the heap is measured. */
function load(file: string): { index: DocumentIndex; read_ms: number; index_ms: number } {
  const bytes = readFileSync(file);
  const started = performance.now();
  const document = readDocument(bytes);
  const read = performance.now();
  const index = indexDocument(document);
  return { index, read_ms: read - started, index_ms: performance.now() - read };
}

function bareParse(file: string): number {
  const text = readFileSync(file, 'utf8');
  const started = performance.now();
  JSON.parse(text);
  return performance.now() - started;
}

/** The middle of several runs, each in a process of its own. */
function inProcesses<T>(what: string, file: string, order: (value: T) => number): T {
  const runs = Array.from({ length: ROUNDS }, () => {
    const args = ['--expose-gc', import.meta.filename, what, file];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as T;
  });
  return runs.sort((a, b) => order(a) - order(b))[Math.floor(ROUNDS / 2)]!;
}

function rowOf(document: string, file: string): Row {
  const measured = inProcesses<Measured>('measure', file, ({ read_ms, index_ms }) => read_ms + index_ms);
  const isJson = file.endsWith('.json');
  const parse_ms = isJson ? inProcesses<number>('parse', file, (ms) => ms) : null;
  return { document, mb: readFileSync(file).length / 1e6, parse_ms, ...measured };
}

function main(): void {
  const dir = mkdtempSync(join(tmpdir(), 'seal-bench-'));
  try {
    const octokit = dirname(createRequire(import.meta.url).resolve('@octokit/openapi'));
    const json = join(octokit, 'generated/api.github.com.json');
    const yaml = join(dir, 'github.yaml');
    const value = JSON.parse(readFileSync(json, 'utf8'));
    writeFileSync(yaml, stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }));
    const rows = [rowOf("GitHub's, JSON", json), rowOf("GitHub's, YAML", yaml)];
    const head = ['document', 'MB', 'operations', 'JSON.parse ms', 'read ms', 'index ms', 'kept MiB'];
    const cells = rows.map((row) => [
      row.document,
      row.mb.toFixed(1),
      String(row.operations),
      row.parse_ms === null ? '' : row.parse_ms.toFixed(0),
      row.read_ms.toFixed(0),
      row.index_ms.toFixed(0),
      row.kept_mb.toFixed(1),
    ]);
    const widths = head.map((_, column) => Math.max(...[head, ...cells].map((row) => row[column]!.length)));
    for (const row of [head, ...cells])
      console.log(
        row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
      );
    console.log(
      '\nReading checks JSON for keys that are given twice before it parses; all of it ends in the index.',
    );
    writeFileSync('bench.openapi.json', `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const [what, file = ''] = process.argv.slice(2);
if (what === 'measure') console.log(JSON.stringify(measure(file)));
else if (what === 'parse') console.log(JSON.stringify(bareParse(file)));
else main();
