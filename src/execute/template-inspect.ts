/** A template with all that it refers to and all that is wrong with it, in one reading: for the validation of manifests. */
import type { Json, Template } from '../snapshot/snapshot.ts';
import { compileJsonText, compileStructure } from './template-compile.ts';
import type { Findings, Inspection, TemplateOptions } from './template-leaf.ts';

export type { Inspection, Problem, Reference, TemplateOptions } from './template-leaf.ts';

/** `structure`: a value whose texts are templates; `text`: the text of a `body_template`. */
export type TemplateKind = 'structure' | 'text';

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
  const findings: Findings = { references: [], problems: [] };
  const template =
    kind === 'structure' ? structure(value, options, findings) : text(value, options, findings);
  return { ...findings, template: findings.problems.length === 0 ? template : null };
}

function structure(value: Json, options: TemplateOptions, findings: Findings): Template {
  const render = compileStructure(value, '', options, findings);
  return { render: render === null ? () => value : (context) => render(context, { spent: 0 }) };
}

function text(value: Json, options: TemplateOptions, findings: Findings): Template | null {
  if (typeof value !== 'string') {
    findings.problems.push({ pointer: '', offset: 0, message: 'a body_template is a text' });
    return null;
  }
  const render = compileJsonText(value, options, findings);
  return { render: (context) => render(context, { spent: 0 }) };
}
