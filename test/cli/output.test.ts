import { expect, test } from 'vitest';
import { CliError, EXIT, print, table } from '../../src/cli/output.ts';

test('the exit codes are those of docs/reference/cli.md', () => {
  expect(EXIT).toEqual({ ok: 0, failed: 1, changes: 2, held: 3, internal: 70, pipe_closed: 141 });
  expect(new CliError('x').exit_code).toBe(1);
  expect(new CliError('x', EXIT.held).exit_code).toBe(3);
});

test('a value is printed as JSON, or its text', () => {
  const printed: string[] = [];
  const console = { out: (text: string) => printed.push(text), err: () => {} };
  print(console, { output: 'json' }, { a: [1] }, 'text');
  print(console, { output: 'text' }, { a: [1] }, 'text');
  expect(printed).toEqual(['{\n  "a": [\n    1\n  ]\n}\n', 'text\n']);
});

test('a table has columns as wide as their widest cell, and no space at the end of a line', () => {
  const rows = [
    ['A', 'LONG', 'C'],
    ['wide', 'b', ''],
    ['a', '', 'c'],
  ];
  expect(table(rows)).toBe('A     LONG  C\nwide  b\na           c');
});

test('a row is one line whatever it holds, and no cell can move the cursor', () => {
  expect(
    table([
      ['A', 'B'],
      ['one\n two\r\n', '\u001b[2Jx\u009b1A\u0007'],
    ]),
  ).toBe('A        B\none two  [2Jx 1A');
});

test('no rows are no lines', () => {
  expect(table([])).toBe('');
});
