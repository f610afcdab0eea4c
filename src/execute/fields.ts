/** The JSONPath expressions by which a caller asks for slices: checked before anything is sent. */
import { GatewayError } from '../errors.ts';
import type { Query } from '../snapshot/snapshot.ts';
import { compileQuery } from './jsonpath.ts';

/** Expressions of one call. */
export const MAX_FIELDS = 32;

/**
 * The queries of `fields`, each text once. Throws INVALID_ARGUMENTS for what is no list of 1 to {@link MAX_FIELDS}
 * texts, and for the first bad expression: `details.field` is its place in the list, `details.offset` the place in it.
 */
export function compileFields(fields: unknown): readonly Query[] {
  if (!Array.isArray(fields) || fields.length === 0) {
    throw new GatewayError('INVALID_ARGUMENTS', 'fields: a list of JSONPath texts, such as ["$.data[*].id"]');
  }
  if (fields.length > MAX_FIELDS) {
    const message = `fields: ${fields.length} expressions, and a call may have ${MAX_FIELDS}`;
    throw new GatewayError('INVALID_ARGUMENTS', message, { details: { limit: MAX_FIELDS } });
  }
  const queries = new Map<string, Query>();
  for (const [index, text] of fields.entries()) {
    if (typeof text !== 'string') {
      throw new GatewayError('INVALID_ARGUMENTS', `fields[${index}]: not a text`, {
        details: { field: index },
      });
    }
    if (!queries.has(text)) queries.set(text, compileField(text, index));
  }
  return [...queries.values()];
}

function compileField(text: string, index: number): Query {
  try {
    return compileQuery(text);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError(error.name, `fields[${index}]: ${error.message}`, {
      details: { field: index, ...error.details },
    });
  }
}
