/** Diagnostics in the formats of CI systems: GitHub annotations, SARIF 2.1.0, JUnit XML. */
import { relative, resolve, sep } from 'node:path';
import { environment } from '../config.ts';
import { type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';

/** What a CI system shows at a line of a file. */
export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly title: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const LEVELS = ['error', 'warning', 'notice'] as const;
/** GitHub shows ten of a level and step; the last one says how many more there are. */
const MAX_ANNOTATIONS = 10;

/**
 * A directory as CI systems name it: below the top of the repository, which on GitHub need not be where the command
 * runs.
 */
export function repositoryPath(dir: string): string {
  const top = environment('GITHUB_WORKSPACE') ?? '.';
  return relative(resolve(top), resolve(dir)).split(sep).join('/');
}

/** A diagnostic without its place. */
function saidOf({ message, hint }: Diagnostic): string {
  return hint === null ? message : `${message} (${hint})`;
}

export function annotationOf(diagnostic: Diagnostic): Annotation {
  const { severity, rule, file, line, column } = diagnostic;
  return { level: severity, title: rule, file, line, column, message: saidOf(diagnostic) };
}

/** Workflow commands, one a line; `dir` is put before the file names. Empty for no annotations. */
export function annotations(list: readonly Annotation[], dir: string): string {
  const lines = LEVELS.flatMap((level) => {
    const all = list.filter((one) => one.level === level);
    const told = all.length > MAX_ANNOTATIONS ? all.slice(0, MAX_ANNOTATIONS - 1) : all;
    const [next] = all.slice(told.length);
    if (next === undefined) return told;
    // GitHub shows an annotation that has no line nowhere in the diff.
    return [
      ...told,
      { ...next, title: 'more', message: `${all.length - told.length} more of them: see the log` },
    ];
  });
  return lines.map((line) => command(line, dir)).join('');
}

function command({ level, title, file, line, column, message }: Annotation, dir: string): string {
  const properties = { file: pathOf(dir, file), line: String(line), col: String(column), title };
  const list = Object.entries(properties).map(([name, value]) => `${name}=${escaped(value, true)}`);
  return `::${level} ${list.join(',')}::${escaped(message, false)}\n`;
}

/** Text of a log in which no line is a workflow command, whatever names and values it holds. `token`: nobody knows it. */
export function asLog(text: string, token: string): string {
  return `::stop-commands::${token}\n${text}::${token}::\n`;
}

function escaped(text: string, property: boolean): string {
  const data = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return property ? data.replaceAll(':', '%3A').replaceAll(',', '%2C') : data;
}

function pathOf(dir: string, file: string): string {
  return dir === '' ? file : `${dir}/${file}`;
}

/** A SARIF log, as code scanning takes it. */
export function sarif(diagnostics: readonly Diagnostic[], dir: string, version: string): string {
  const ids = [...new Set(diagnostics.map(({ rule }) => rule))].sort();
  const results = diagnostics.map((diagnostic) => ({
    ruleId: diagnostic.rule,
    ruleIndex: ids.indexOf(diagnostic.rule),
    level: diagnostic.severity,
    message: { text: saidOf(diagnostic) },
    locations: [
      {
        physicalLocation: {
          artifactLocation: {
            uri: pathOf(dir, diagnostic.file).split('/').map(encodeURIComponent).join('/'),
          },
          region: { startLine: diagnostic.line, startColumn: diagnostic.column },
        },
      },
    ],
  }));
  const driver = { name: 'seal-gateway', semanticVersion: version, rules: ids.map((id) => ({ id })) };
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

/** A test case for each file that has diagnostics, and one for the whole when there are none. */
export function junit(diagnostics: readonly Diagnostic[], dir: string): string {
  const files = Map.groupBy(diagnostics, ({ file }) => file);
  const cases = [...files].map(([file, own]) => {
    const errors = own.filter(({ severity }) => severity === 'error').length;
    const text = xml(own.map(formatDiagnostic).join('\n'));
    const body =
      errors > 0
        ? `<failure message="${errors} error${errors === 1 ? '' : 's'}">${text}</failure>`
        : `<system-out>${text}</system-out>`;
    return {
      failed: errors > 0,
      xml: `<testcase classname="${xml(dir)}" name="${xml(file)}">${body}</testcase>`,
    };
  });
  if (cases.length === 0)
    cases.push({ failed: false, xml: `<testcase classname="${xml(dir)}" name="manifests"/>` });
  const counts = `tests="${cases.length}" failures="${cases.filter(({ failed }) => failed).length}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="seal-gateway" ${counts}>`,
    ...cases.map((one) => `    ${one.xml}`),
    '  </testsuite>',
    '</testsuites>\n',
  ].join('\n');
}

/** Text of an XML document; what XML 1.0 cannot hold is replaced. */
function xml(text: string): string {
  const safe = text.toWellFormed().replaceAll(/(?![\t\n\r])\p{Cc}|[\ufffe\uffff]/gu, '\ufffd');
  return safe
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
