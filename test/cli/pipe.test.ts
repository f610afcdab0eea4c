import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

/** The program of the shell, its output read by another one; the exit code is the program's own. */
function piped(argv: string, reader: string) {
  const script = `'${process.execPath}' '${MAIN}' ${argv} | ${reader}; exit \${PIPESTATUS[0]}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('a reader that has enough', () => {
  test.each(['schema ToolWorkflow', 'schema ToolWorkflow --output json', '--help', 'audit --help'])(
    'ends the command without a word: %s',
    (argv) => {
      // It has gone before anything is written.
      const { status, stdout, stderr } = piped(argv, 'true');
      expect({ status, stdout, stderr }).toEqual({ status: 141, stdout: '', stderr: '' });
    },
  );

  test('has what it asked for', () => {
    const { stdout, stderr } = piped('schema ToolWorkflow', 'head -c 1');
    expect({ stdout, stderr }).toEqual({ stdout: '{', stderr: '' });
  });
});
