/** A template with all that it refers to and all that is wrong with it, in one reading: for the validation of manifests. */
import type { Blame, Json, Template } from '../snapshot/snapshot.ts';
import { compileJsonText, compileStructure } from './template-compile.ts';
import { blameFor, type Findings, type Inspection, type TemplateOptions } from './template-leaf.ts';
import { parseText } from './template-parse.ts';

export type { Inspection, Problem, Reference, TemplateOptions } from './template-leaf.ts';

/**
 * `structure`: a value whose texts are templates; `text`: the text of a `body_template`; `expression`: a text that is
 * one expression; `condition`: true, false, or a text that is not true whatever the values are.
 */
export type TemplateKind = 'structure' | 'text' | 'expression' | 'condition';

export interface InspectedTemplate extends Inspection {
  /** null: there are problems. */
  readonly template: Template | null;
}

/** Every reference and problem, in the order in which they are written. */
export function inspectTemplate(
  value: Json,
  kind: TemplateKind,
  options: TemplateOptions = {},
): InspectedTemplate {
  const findings: Findings = { references: [], problems: [], length: 0 };
  const template = kind === 'text' ? text(value, options, findings) : structure(value, options, findings);
  if (findings.problems.length === 0 && typeof value === 'string') checkShape(value, kind, findings);
  const { references, problems } = findings;
  return { references, problems, template: problems.length === 0 ? template : null };
}

function structure(value: Json, options: TemplateOptions, findings: Findings): Template {
  const render = compileStructure(value, '', options, findings);
  return {
    render: render === null ? () => value : (context) => render(context, { spent: 0 }),
    blame: blameOf(findings, options),
  };
}

function text(value: Json, options: TemplateOptions, findings: Findings): Template | null {
  if (typeof value !== 'string') {
    report(findings, 'a body_template is a text');
    return null;
  }
  const render = compileJsonText(value, options, findings);
  return { render: (context) => render(context, { spent: 0 }), blame: blameOf(findings, options) };
}

function blameOf({ references }: Findings, options: TemplateOptions): Blame {
  return blameFor(new Set(references.map(({ path }) => path[0]!)), options);
}

function checkShape(value: string, kind: TemplateKind, findings: Findings): void {
  const shape = kind === 'expression' || kind === 'condition' ? typesIn(value) : [];
  if (kind === 'expression' && (shape.length !== 1 || shape[0] !== 'MustacheStatement'))
    report(findings, 'this is text, whatever the values are; write one expression, as in {{input.list}}');
  if (kind === 'condition' && (shape.length === 0 || shape.includes('ContentStatement')))
    report(
      findings,
      'this is the same whatever the values are; write one expression, or blocks such as {{#if input.x}}yes{{/if}}',
    );
  const no = kind === 'condition' ? /}}\s*(false|0|no|null)\s*{{/i.exec(value)?.[1] : undefined;
  if (no !== undefined)
    report(
      findings,
      `the text ${JSON.stringify(no)} counts as true, as any text does; leave the branch empty for false`,
    );
}

function typesIn(text: string): readonly string[] {
  const parsed = parseText(text);
  return 'problem' in parsed ? [] : parsed.statements.map(({ type }) => type);
}

function report({ problems }: Findings, message: string): void {
  problems.push({ pointer: '', offset: 0, message });
}
