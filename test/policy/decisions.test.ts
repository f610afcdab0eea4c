/** Every table of this folder: one row, one behaviour, judged by the compiled context. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ERRORS } from '../../src/errors.ts';
import { type Decision, evaluate, explain, type PolicyCall } from '../../src/policy/evaluate.ts';
import { compileToolPattern } from '../../src/policy/match.ts';
import { compileContext, type WrittenContext } from './written.ts';

interface Row {
  does: string;
  context: string;
  scopes?: string[];
  /** Indexes of capabilities whose rate is used up. */
  exhausted?: number[];
  call: { tool: string; arguments?: Record<string, unknown>; command?: string; subcommand?: string };
  /** `allow <capability>` or `<code> <rule>`. */
  expect: string;
}

interface Table {
  contexts: Record<string, WrittenContext>;
  rows: Row[];
}

const tables = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.yaml'))
  .map((file): [string, Table] => [file, parse(readFileSync(`${import.meta.dirname}/${file}`, 'utf8'))]);

describe.each(tables)('%s', (_, { contexts, rows }) => {
  test.each(rows)('$does', (row) => {
    const context = compileContext(contexts[row.context]!, row.context);
    const usage = { exhausted: ({ index }: { index: number }) => row.exhausted?.includes(index) ?? false };
    const decision = evaluate(context, callOf(row), usage);
    expect(told(decision)).toBe(row.expect);
    expect(explain(context, callOf(row), usage).decision).toEqual(decision);
  });

  test('every context is used', () => {
    expect(new Set(rows.map((row) => row.context))).toEqual(new Set(Object.keys(contexts)));
  });
});

function callOf({ call, scopes }: Row): PolicyCall {
  return {
    tool: call.tool,
    arguments: call.arguments ?? {},
    command: call.command ?? null,
    subcommand: call.subcommand ?? null,
    tool_patterns: scopes?.map(compileToolPattern) ?? null,
  };
}

function told(decision: Decision): string {
  if (decision.allow) return `allow ${decision.capability.index}`;
  return `${ERRORS[decision.error].code} ${decision.rule}`;
}
