/** Small documents for tests. */
import { indexDocument } from '../../src/openapi/index-document.ts';
import type { Operation } from '../../src/openapi/operation.ts';

export type Json = Record<string, unknown>;

/** A document with these paths. */
export function documentOf(paths: Json, more: Json = {}): Json {
  return { openapi: '3.1.0', info: { title: 'T', version: '1' }, paths, ...more };
}

/** The one operation of a document that has no problem. */
export function operationOf(method: string, path: string, operation: Json, more: Json = {}): Operation {
  const index = indexDocument(documentOf({ [path]: { [method]: operation } }, more));
  const [found] = index.operations.values();
  if (index.problems.length > 0 || found === undefined) throw new Error(JSON.stringify(index.problems));
  return found;
}

/** GET with one parameter. */
export function operationWith(parameter: Json): Operation {
  const required = parameter.in === 'path' ? { required: true } : {};
  const path = parameter.in === 'path' ? `/a/{${parameter.name}}/z` : '/a';
  return operationOf('get', path, { parameters: [{ ...required, schema: {}, ...parameter }] });
}

/** POST with a body of these media types. */
export function operationTaking(content: Json, more: Json = {}): Operation {
  return operationOf('post', '/a', { operationId: 'send', requestBody: { content, ...more } });
}
