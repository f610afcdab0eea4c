/** Renders templates for tests. */
import { GatewayError } from '../../src/errors.ts';
import { compileBodyTemplate, compileTemplate } from '../../src/execute/template.ts';
import type { Json, TemplateContext } from '../../src/snapshot/snapshot.ts';

export type Given = Partial<TemplateContext>;

export function render(value: Json, given: Given = {}): unknown {
  return compileTemplate(value).render({ input: {}, steps: {}, ...given });
}

export function renderBody(text: string, given: Given = {}): unknown {
  return compileBodyTemplate(text).render({ input: {}, steps: {}, ...given });
}

/** What `make` throws, which has to be a GatewayError. */
export function gatewayError(make: () => unknown): GatewayError {
  try {
    make();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
