/** What a template refers to and what is wrong with it, for the validation of manifests. */
import type { Json } from '../snapshot/snapshot.ts';
import { compileJsonText, compileStructure } from './template-compile.ts';
import type { Findings, Inspection, TemplateOptions } from './template-leaf.ts';

export type { Inspection, Problem, Reference, TemplateOptions } from './template-leaf.ts';

/** `structure`: a value whose texts are templates; `text`: the text of a `body_template`. */
export type TemplateKind = 'structure' | 'text';

/** Every reference and problem, in the order in which they are written. */
export function inspectTemplate(value: Json, kind: TemplateKind, options: TemplateOptions = {}): Inspection {
  const findings: Findings = { references: [], problems: [] };
  if (kind === 'structure') compileStructure(value, '', options, findings);
  else if (typeof value === 'string') compileJsonText(value, options, findings);
  else findings.problems.push({ pointer: '', offset: 0, message: 'a body_template is a text' });
  return findings;
}
