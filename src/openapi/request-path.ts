/** The path of a request. */
import { GatewayError } from '../errors.ts';
import { decodeFully } from '../percent.ts';
import { encode } from './encode.ts';
import { type Given, givenIn } from './given.ts';
import { knownOf } from './known.ts';
import type { Operation, Parameter } from './operation.ts';
import { refusal, shapeFor, undescribed, valueFor } from './parameter-value.ts';
import { CONTROL, HARMLESS, isDotSegment } from './path-template.ts';
import { pathText } from './style.ts';
import type { Refuse, Shape } from './value.ts';

/** The encoded path, which has the segments of the operation's and no other. Throws INVALID_ARGUMENTS. */
export function buildPath(operation: Operation, given: Given, allowSlash: boolean): string {
  const values = givenIn(given, 'path');
  const known = knownOf(operation);
  let path = '';
  for (const [index, part] of known.path.entries()) {
    if (index % 2 === 0) path += part;
    else {
      const described = known.parameters.path.find(({ name }) => name === part);
      path += encodedValue(described ?? undescribed('path', part), values, allowSlash);
    }
  }
  // Each value is checked alone, and could still make a dot segment with what stands beside it.
  if (path.split(/\/|%2F/).some(isDotSegment)) {
    throw new GatewayError('INVALID_ARGUMENTS', `the path of ${operation.id} would have a dot segment`);
  }
  return path;
}

function encodedValue(
  parameter: Parameter,
  values: ReadonlyMap<string, unknown>,
  allowSlash: boolean,
): string {
  const refuse = refusal('path', parameter.name);
  const shape = shapeFor(parameter, valueFor(parameter, values), refuse);
  if (shape === null) throw refuse('has no value');
  for (const text of textsIn(shape)) checkText(text, allowSlash, refuse);
  return pathText(parameter.name, parameter, shape, encode, refuse);
}

function textsIn(shape: Shape): readonly string[] {
  if (shape.kind === 'text') return [shape.text];
  return shape.kind === 'list' ? shape.items : shape.entries.flat();
}

/**
 * Encoding keeps a value within its segment for all who read URLs as the standard says. Servers and proxies that
 * decode twice, or decode first and split then, do not; so what is structure in any reading is refused.
 */
function checkText(text: string, allowSlash: boolean, refuse: Refuse): void {
  if (text === '') throw refuse('is empty');
  if (HARMLESS.test(text)) return;
  for (const part of allowSlash ? text.split('/') : [text]) {
    const decoded = decodeFully(part);
    if (decoded === null) throw refuse('holds percent-encoding that cannot be undone');
    if (CONTROL.test(decoded)) throw refuse('holds a control character');
    if (/[/\\]/.test(decoded.normalize('NFKC'))) throw refuse('holds a slash or a backslash');
    if (isDotSegment(part)) throw refuse('is a dot segment');
  }
}
