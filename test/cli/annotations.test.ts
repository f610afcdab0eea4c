import { describe, expect, test } from 'vitest';
import { annotations, junit, sarif } from '../../src/cli/annotations.ts';
import type { Diagnostic } from '../../src/manifest/diagnostic.ts';

const aDiagnostic = (more: Partial<Diagnostic> = {}): Diagnostic => ({
  ...{ severity: 'error', rule: 'bad-name', file: 'a/b.yaml', line: 3, column: 7 },
  ...{ message: 'not good', hint: null },
  ...more,
});

describe('github', () => {
  test('a line for each, with its place, which the diff shows', () => {
    const list = [aDiagnostic({ hint: 'mend it' }), aDiagnostic({ severity: 'warning', line: 9 })];
    expect(annotations(list, 'gateway.d')).toBe(
      '::error file=gateway.d/a/b.yaml,line=3,col=7,title=bad-name::not good (mend it)\n' +
        '::warning file=gateway.d/a/b.yaml,line=9,col=7,title=bad-name::not good\n',
    );
  });

  test('nothing in a message or a file name begins another command', () => {
    const text = annotations([aDiagnostic({ message: '100%\r\n::error::x', file: 'a,b:c.yaml' })], '.');
    expect(text).toBe('::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=bad-name::100%25%0D%0A::error::x\n');
  });

  test('ten of a level at most, the last of which counts the rest', () => {
    const lines = annotations(
      Array.from({ length: 15 }, () => aDiagnostic()),
      'd',
    )
      .trim()
      .split('\n');
    expect(lines).toHaveLength(10);
    expect(lines.at(-1)).toContain('6 more of them');
    expect(
      annotations(
        Array.from({ length: 10 }, () => aDiagnostic()),
        'd',
      )
        .trim()
        .split('\n'),
    ).toHaveLength(10);
  });
});

test('SARIF 2.1.0: a result with rule, level and region for each', () => {
  const log = JSON.parse(
    sarif([aDiagnostic(), aDiagnostic({ severity: 'warning', rule: 'other' })], 'd', '1.2.3'),
  );
  expect(log.version).toBe('2.1.0');
  const [run] = log.runs;
  expect(run.tool.driver.rules).toEqual([{ id: 'bad-name' }, { id: 'other' }]);
  expect(run.results.map((one: { level: string }) => one.level)).toEqual(['error', 'warning']);
  expect(run.results[0].locations[0].physicalLocation).toEqual({
    artifactLocation: { uri: 'd/a/b.yaml' },
    region: { startLine: 3, startColumn: 7 },
  });
});

describe('JUnit', () => {
  test('a case for each file; warnings do not fail it', () => {
    const text = junit([aDiagnostic(), aDiagnostic({ severity: 'warning', file: 'c.yaml' })], 'd');
    expect(text).toContain('tests="2" failures="1"');
    expect(text).toContain('<testcase classname="d" name="a/b.yaml"><failure message="1 error">');
    expect(text).toContain('<testcase classname="d" name="c.yaml"><system-out>');
  });

  test('stays XML whatever a message holds', () => {
    const text = junit([aDiagnostic({ message: '<a b="c">&\u0001\ud800' })], 'd');
    expect(text).toContain('&lt;a b=&quot;c&quot;&gt;&amp;');
    expect(text.isWellFormed()).toBe(true);
    expect(text).not.toMatch(/(?![\t\n\r])\p{Cc}/u);
  });

  test('without diagnostics there is still a case that passed', () => {
    expect(junit([], 'd')).toContain('tests="1" failures="0"');
  });
});
