/**
 * Templates of manifests: JSON whose texts are Handlebars, or one text that becomes JSON. They are parsed by
 * Handlebars and evaluated here: no code is generated, no prototype is read, no value leaves its place, and the
 * work of a rendering is limited (docs/decisions/0005-templates.md).
 */
import type { Json, Template } from '../snapshot/snapshot.ts';
import { inspectTemplate, type TemplateKind } from './template-inspect.ts';
import type { TemplateOptions } from './template-leaf.ts';

/**
 * A template with the structure of `value`; each text in it is a template, keys are not. A text that is one
 * expression gives the value itself: nothing becomes an absent member, and null in a list, where places have a
 * meaning. Other text gives text. A value is not copied: what is rendered is for reading.
 *
 * Throws Error for what `inspectTemplate` calls a problem. Rendering throws GatewayError when a helper cannot
 * use a value, or when it takes too much work: INVALID_ARGUMENTS for a text that reads the caller's values alone,
 * else UPSTREAM_FAILED.
 */
export function compileTemplate(value: Json, options: TemplateOptions = {}): Template {
  return sound(value, 'structure', options);
}

/**
 * A template of a text that is JSON once it is rendered, and gives the parsed value. Within a string of it an
 * expression inserts text that cannot leave the string; elsewhere it inserts a JSON value, null for nothing.
 *
 * Throws as {@link compileTemplate} does; rendering also when blocks leave no JSON.
 */
export function compileBodyTemplate(text: string, options: TemplateOptions = {}): Template {
  return sound(text, 'text', options);
}

function sound(value: Json, kind: TemplateKind, options: TemplateOptions): Template {
  const { template, problems } = inspectTemplate(value, kind, options);
  if (template !== null) return template;
  const lines = problems.map(({ pointer, message }) => (pointer === '' ? message : `${pointer}: ${message}`));
  throw new Error(lines.join('; '));
}
