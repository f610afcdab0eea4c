/** Diagnostics in the formats of CI systems: GitHub annotations, SARIF 2.1.0, JUnit XML. */
import { posix } from 'node:path';
import { type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';

/** GitHub shows ten of a level and step; the last one says how many more there are. */
const MAX_ANNOTATIONS = 10;

/** Workflow commands, one a line; `dir` is put before the file names. Empty for no diagnostics. */
export function annotations(diagnostics: readonly Diagnostic[], dir: string): string {
  const lines: string[] = [];
  for (const severity of ['error', 'warning'] as const) {
    const all = diagnostics.filter((one) => one.severity === severity);
    const told = all.length > MAX_ANNOTATIONS ? all.slice(0, MAX_ANNOTATIONS - 1) : all;
    for (const { file, line, column, message, hint, rule } of told) {
      const properties = {
        file: posix.join(dir, file),
        line: String(line),
        col: String(column),
        title: rule,
      };
      const list = Object.entries(properties).map(([name, value]) => `${name}=${escaped(value, true)}`);
      lines.push(
        `::${severity} ${list.join(',')}::${escaped(hint === null ? message : `${message} (${hint})`, false)}`,
      );
    }
    if (told.length < all.length)
      lines.push(
        `::${severity} title=more::${all.length - told.length} more of them; run seal-gateway validate`,
      );
  }
  return lines.map((line) => `${line}\n`).join('');
}

function escaped(text: string, property: boolean): string {
  const data = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return property ? data.replaceAll(':', '%3A').replaceAll(',', '%2C') : data;
}

/** A SARIF log, as code scanning takes it. */
export function sarif(diagnostics: readonly Diagnostic[], dir: string, version: string): string {
  const rules = [...new Set(diagnostics.map(({ rule }) => rule))].sort().map((id) => ({ id }));
  const results = diagnostics.map(({ rule, severity, message, hint, file, line, column }) => ({
    ruleId: rule,
    level: severity,
    message: { text: hint === null ? message : `${message} (${hint})` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: posix.join(dir, file) },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
  }));
  const driver = { name: 'seal-gateway', semanticVersion: version, rules };
  return `${JSON.stringify({ $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [{ tool: { driver }, results }] }, null, 2)}\n`;
}

/** A test case for each file that has diagnostics, and one for the whole when there are none. */
export function junit(diagnostics: readonly Diagnostic[], dir: string): string {
  const files = [...new Set(diagnostics.map(({ file }) => file))];
  const cases = files.map((file) => {
    const own = diagnostics.filter((one) => one.file === file);
    const errors = own.filter(({ severity }) => severity === 'error');
    const text = xml(own.map(formatDiagnostic).join('\n'));
    const body =
      errors.length > 0
        ? `<failure message="${errors.length} error${errors.length === 1 ? '' : 's'}">${text}</failure>`
        : `<system-out>${text}</system-out>`;
    return {
      failed: errors.length > 0,
      xml: `    <testcase classname="${xml(dir)}" name="${xml(file)}">${body}</testcase>`,
    };
  });
  if (cases.length === 0)
    cases.push({ failed: false, xml: `    <testcase classname="${xml(dir)}" name="manifests"/>` });
  const failures = cases.filter(({ failed }) => failed).length;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n  <testsuite name="seal-gateway validate" tests="${cases.length}" failures="${failures}">\n${cases.map((one) => one.xml).join('\n')}\n  </testsuite>\n</testsuites>\n`;
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
