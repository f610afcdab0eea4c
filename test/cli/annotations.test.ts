import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { annotationOf, annotations, asLog, junit, repositoryPath, sarif } from '../../src/cli/annotations.ts';
import { addToStepSummary } from '../../src/cli/step-summary.ts';
import type { Diagnostic } from '../../src/manifest/diagnostic.ts';
import { directory } from '../manifest/directory.ts';
import { runCli, scratch } from './run.ts';

const aDiagnostic = (more: Partial<Diagnostic> = {}): Diagnostic => ({
  ...{ severity: 'error', rule: 'bad-name', file: 'a/b.yaml', line: 3, column: 7 },
  ...{ message: 'not good', hint: null },
  ...more,
});
const many = (count: number, more: Partial<Diagnostic> = {}): Diagnostic[] =>
  Array.from({ length: count }, (_, i) => aDiagnostic({ line: i + 1, ...more }));
const github = (list: readonly Diagnostic[], dir = 'd'): string[] =>
  annotations(list.map(annotationOf), dir).split('\n').slice(0, -1);

beforeEach(() => {
  // The tests may themselves run in a step of GitHub.
  for (const name of ['GITHUB_STEP_SUMMARY', 'GITHUB_WORKSPACE']) vi.stubEnv(name, undefined);
});

describe('github', () => {
  test('a line for each, with its place, which the diff shows', () => {
    const list = [aDiagnostic({ hint: 'mend it' }), aDiagnostic({ severity: 'warning', line: 9 })];
    expect(github(list, 'gateway.d')).toEqual([
      '::error file=gateway.d/a/b.yaml,line=3,col=7,title=bad-name::not good (mend it)',
      '::warning file=gateway.d/a/b.yaml,line=9,col=7,title=bad-name::not good',
    ]);
    expect(github([aDiagnostic()], '')[0]).toContain('file=a/b.yaml,');
    expect(github([])).toEqual([]);
  });

  test('nothing in a message or a file name begins another command', () => {
    const list = [aDiagnostic({ message: '100%\r\n::error::x', file: 'a,b:c\n::x.yaml' })];
    expect(github(list, '.')).toEqual([
      '::error file=./a%2Cb%3Ac%0A%3A%3Ax.yaml,line=3,col=7,title=bad-name::100%25%0D%0A::error::x',
    ]);
  });

  test('ten of a level at most; the last counts the rest, at the line of one of them', () => {
    expect(github(many(10))).toHaveLength(10);
    expect(github(many(10)).at(-1)).toContain('not good');
    const lines = github([...many(15), ...many(11, { severity: 'warning' })]);
    expect(lines).toHaveLength(20);
    expect(lines[9]).toBe('::error file=d/a/b.yaml,line=10,col=7,title=more::6 more of them: see the log');
    expect(lines[19]).toBe('::warning file=d/a/b.yaml,line=10,col=7,title=more::2 more of them: see the log');
    for (const line of lines) expect(line).toMatch(/,line=\d+,/);
  });

  test('the directory is named from the top of the repository', () => {
    expect(repositoryPath('gateway.d')).toBe('gateway.d');
    expect(repositoryPath('.')).toBe('');
    vi.stubEnv('GITHUB_WORKSPACE', join(import.meta.dirname, '..'));
    expect(repositoryPath(join(import.meta.dirname, 'gateway.d'))).toBe('cli/gateway.d');
  });

  test('what else is printed is no command', () => {
    expect(asLog('::error::x\n##[error]x\n', 't')).toBe(
      '::stop-commands::t\n::error::x\n##[error]x\n::t::\n',
    );
  });

  test('the page of a step is added to, however much there is to say', () => {
    expect(addToStepSummary('Plan', 'x\n')).toBe(false);
    const file = join(scratch(), 'summary.md');
    writeFileSync(file, 'before\n');
    vi.stubEnv('GITHUB_STEP_SUMMARY', file);
    expect(addToStepSummary('Plan', '+ ``` a\n', 'diff')).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('before\n### Plan\n\n`````diff\n+ ``` a\n`````\n\n');
    addToStepSummary('Much', 'x'.repeat(2_000_000));
    expect(readFileSync(file, 'utf8').length).toBeLessThan(1_000_000);
    expect(readFileSync(file, 'utf8')).toMatch(/… and more: see the log\n`````\n\n$/);
    vi.stubEnv('GITHUB_STEP_SUMMARY', join(file, 'x'));
    expect(() => addToStepSummary('Plan', 'x')).toThrow('GITHUB_STEP_SUMMARY');
  });
});

describe('SARIF 2.1.0', () => {
  const parse = (list: readonly Diagnostic[], dir = 'd') => JSON.parse(sarif(list, dir, '1.2.3'));

  test('a result with rule, level and region for each', () => {
    const log = parse([
      aDiagnostic({ rule: 'z' }),
      aDiagnostic({ severity: 'warning', rule: 'a', hint: 'mend' }),
      aDiagnostic({ rule: 'z', file: 'c.yaml' }),
    ]);
    expect(log).toEqual({
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: { name: 'seal-gateway', semanticVersion: '1.2.3', rules: [{ id: 'a' }, { id: 'z' }] },
          },
          columnKind: 'utf16CodeUnits',
          results: [
            result('z', 1, 'error', 'not good', 'd/a/b.yaml'),
            result('a', 0, 'warning', 'not good (mend)', 'd/a/b.yaml'),
            result('z', 1, 'error', 'not good', 'd/c.yaml'),
          ],
        },
      ],
    });
  });

  test('a log without results is one too', () => {
    expect(parse([]).runs).toMatchObject([{ tool: { driver: { rules: [] } }, results: [] }]);
  });

  test.each(['a b.yaml', 'a#b?.yaml', 'ä%20.yaml', 'a:b.yaml', '..weird/x.yaml'])(
    'the file %s is a URI that leads to it',
    (file) => {
      const [{ locations }] = parse([aDiagnostic({ file })], 'my dir').runs[0].results;
      const { uri } = locations[0].physicalLocation.artifactLocation;
      const url = new URL(uri, 'file:///top/');
      expect([url.search, url.hash]).toEqual(['', '']);
      expect(decodeURIComponent(url.pathname)).toBe(`/top/my dir/${file}`);
    },
  );

  function result(ruleId: string, ruleIndex: number, level: string, text: string, uri: string) {
    const region = { startLine: 3, startColumn: 7 };
    const locations = [{ physicalLocation: { artifactLocation: { uri }, region } }];
    return { ruleId, ruleIndex, level, message: { text }, locations };
  }
});

describe('JUnit', () => {
  test('a case for each file; warnings do not fail it', () => {
    const list = [
      aDiagnostic(),
      aDiagnostic({ severity: 'warning', file: 'c.yaml' }),
      aDiagnostic({ line: 4, severity: 'warning' }),
    ];
    expect(junit(list, 'd')).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1">
  <testsuite name="seal-gateway" tests="2" failures="1">
    <testcase classname="d" name="a/b.yaml"><failure message="1 error">a/b.yaml:3:7: not good
a/b.yaml:4:7: warning: not good</failure></testcase>
    <testcase classname="d" name="c.yaml"><system-out>c.yaml:3:7: warning: not good</system-out></testcase>
  </testsuite>
</testsuites>
`);
  });

  test('stays XML whatever messages and file names hold', () => {
    const odd = '<a b="c">&]]>\u0000\u0001\u001b\u007f\u0085\ud800\ufffe\uffff\u{1f600}';
    const text = junit([aDiagnostic({ message: odd, file: `${odd}.yaml` })], odd);
    expect(text).toContain('&lt;a b=&quot;c&quot;&gt;&amp;]]&gt;');
    expect(text).toContain('\u{1f600}');
    expect(text.isWellFormed()).toBe(true);
    expect(text).not.toMatch(/(?![\t\n\r])\p{Cc}|[\ufffe\uffff]/u);
    // No mark-up but ours, and every attribute is closed.
    expect(text.match(/<[^>]*>/g)).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites tests="1" failures="1">',
      '<testsuite name="seal-gateway" tests="1" failures="1">',
      expect.stringMatching(/^<testcase classname="[^"<&]*(&\w+;[^"<&]*)*" name="[^"<&]*(&\w+;[^"<&]*)*">$/),
      '<failure message="1 error">',
      '</failure>',
      '</testcase>',
      '</testsuite>',
      '</testsuites>',
    ]);
  });

  test('without diagnostics there is still a case that passed', () => {
    expect(junit([], 'd')).toContain('<testcase classname="d" name="manifests"/>');
    expect(junit([], 'd')).toContain('tests="1" failures="0"');
  });
});

describe('validate prints them', () => {
  const dir = () => directory({ 'a.yaml': 'kind: Nothing\n' });

  test('github, with the whole in the log and on the page of the step', async () => {
    const file = join(scratch(), 'summary.md');
    vi.stubEnv('GITHUB_STEP_SUMMARY', file);
    const top = dir();
    vi.stubEnv('GITHUB_WORKSPACE', join(top, '..'));
    const { code, out } = await runCli(['validate', top, '-o', 'github']);
    const name = top.split('/').at(-1);
    expect(code).toBe(1);
    const lines = out.split('\n');
    expect(lines[0]).toMatch(new RegExp(`^::error file=${name}/a\\.yaml,line=1,col=\\d+,title=`));
    const token = /^::stop-commands::(.{20,})$/.exec(lines.find((line) => line.startsWith('::stop'))!)![1];
    expect(lines.at(-3)).toMatch(/ errors, 0 warnings$/);
    expect(lines.at(-2)).toBe(`::${token}::`);
    expect(readFileSync(file, 'utf8')).toMatch(/^### Validate\n\n`````text\na\.yaml:1:/);
  });

  test('sarif and junit, and nothing else', async () => {
    const top = dir();
    const log = await runCli(['validate', top, '-o', 'sarif']);
    expect(JSON.parse(log.out).runs[0].results.length).toBeGreaterThan(0);
    const page = await runCli(['validate', top, '-o', 'junit']);
    expect(page.out).toMatch(/^<\?xml/);
    expect([log.code, page.code]).toEqual([1, 1]);
    const good = await runCli(['validate', directory(), '-o', 'junit']);
    expect(good).toMatchObject({ code: 0, err: '' });
  });
});
