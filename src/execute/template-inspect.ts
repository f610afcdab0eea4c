/** What a template refers to and what is wrong with it, for the validation of manifests. */
import type { Json } from '../snapshot/snapshot.ts';
import { compileJsonText, compileStructure } from './template-compile.ts';
import type { Findings, Inspection, TemplateOptions } from './template-leaf.ts';
import { parseText } from './template-parse.ts';

export type { Inspection, Problem, Reference, TemplateOptions } from './template-leaf.ts';

/**
 * `structure`: a value whose texts are templates; `text`: the text of a `body_template`; `expression`: a text that is
 * one expression; `condition`: true, false, or a text that is not true whatever the values are.
 */
export type TemplateKind = 'structure' | 'text' | 'expression' | 'condition';

/** Every reference and problem, in the order in which they are written. */
export function inspectTemplate(value: Json, kind: TemplateKind, options: TemplateOptions = {}): Inspection {
  const findings: Findings = { references: [], problems: [] };
  if (kind !== 'text') compileStructure(value, '', options, findings);
  else if (typeof value === 'string') compileJsonText(value, options, findings);
  else report(findings, 'a body_template is a text');
  if (findings.problems.length > 0 || typeof value !== 'string') return findings;
  const shape = kind === 'expression' || kind === 'condition' ? typesIn(value) : [];
  if (kind === 'expression' && (shape.length !== 1 || shape[0] !== 'MustacheStatement'))
    report(findings, 'this is text, whatever the values are; write one expression, as in {{input.list}}');
  if (kind === 'condition' && (shape.length === 0 || shape.includes('ContentStatement')))
    report(
      findings,
      'this is the same whatever the values are; write one expression, or blocks such as {{#if input.x}}yes{{/if}}',
    );
  return findings;
}

function typesIn(text: string): readonly string[] {
  const parsed = parseText(text);
  return 'problem' in parsed ? [] : parsed.statements.map(({ type }) => type);
}

function report({ problems }: Findings, message: string): void {
  problems.push({ pointer: '', offset: 0, message });
}
