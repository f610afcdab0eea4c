/** The index of an OpenAPI document, or why there is none, as a thread sends it to the event loop. */
import { deserialize, serialize } from 'node:v8';
import type { Pace } from '../manifest/pace.ts';
import { readDocument } from '../openapi/document.ts';
import { DocumentError } from '../openapi/document-error.ts';
import { type DocumentIndex, indexDocument } from '../openapi/index-document.ts';
import type { Operation } from '../openapi/operation.ts';

export type WiredIndex =
  | {
      readonly index: Omit<DocumentIndex, 'operations'>;
      /** Operations, so many that they are read in a moment. */
      readonly parts: readonly Uint8Array<ArrayBuffer>[];
    }
  | { readonly fault: Pick<DocumentError, 'message' | 'line' | 'column'> };

/** Operations of one part: what two of them share is shared within a part. */
const PART = 500;

/** Never throws: of a document that cannot be read, the reason is what is known. `place`: where it is from. */
export function indexOf(
  bytes: Uint8Array,
  place: { readonly url?: string } = {},
): DocumentIndex | DocumentError {
  try {
    return indexDocument(readDocument(bytes), place);
  } catch (error) {
    if (error instanceof DocumentError) return error;
    throw error;
  }
}

export function wireIndex(read: DocumentIndex | DocumentError): WiredIndex {
  if (read instanceof DocumentError)
    return { fault: { message: read.message, line: read.line, column: read.column } };
  const { operations, ...index } = read;
  const all = [...operations];
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < all.length; at += PART)
    parts.push(new Uint8Array(serialize(all.slice(at, at + PART))));
  return { index, parts };
}

/** What was wired. Rejects with the DocumentError that was. */
export async function unwireIndex(wired: WiredIndex, breathe: Pace): Promise<DocumentIndex> {
  if ('fault' in wired) {
    const { message, line, column } = wired.fault;
    if (line === null || column === null) throw new DocumentError(message);
    // It says its place itself.
    throw new DocumentError(message.replace(/^line \d+, column \d+: /, ''), { line, column });
  }
  const operations = new Map<string, Operation>();
  for (const part of wired.parts) {
    for (const [id, operation] of deserialize(part) as [string, Operation][])
      operations.set(id, freeze(operation));
    await breathe();
  }
  return { ...wired.index, operations };
}

/** As the index is when it is made: what hands out an operation hands it to many. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) for (const member of value.values()) freeze(member);
  else for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}
