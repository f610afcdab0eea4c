/** Bodies of multipart/form-data (RFC 7578). */
import { randomToken } from '../ids.ts';
import { decodeBase64, isFile } from './file.ts';
import { type GivenField, givenFields, itemsOf } from './form.ts';
import { bareType, isJson } from './media-type.ts';
import type { FormField } from './operation.ts';
import { createPairs } from './pairs.ts';
import { CONTROL } from './path-template.ts';
import { pairsOf } from './style.ts';
import { jsonText, plainText, type Refuse } from './value.ts';

interface Part {
  readonly name: string;
  readonly filename: string | null;
  readonly content_type: string | null;
  readonly content: string | Uint8Array;
}

/** A boundary of 144 random bits is in no content that was made before it. */
export function buildMultipart(
  fields: ReadonlyMap<string, FormField>,
  values: Readonly<Record<string, unknown>>,
  refuse: Refuse,
): { content_type: string; content: Uint8Array } {
  const given = givenFields(fields, values, refuse);
  const names = createPairs(given.map(({ name }) => name));
  const boundary = `seal-${randomToken(18)}`;
  const chunks: Uint8Array[] = [];
  for (const one of given) {
    const parts = partsOf(one);
    names.add(
      one.name,
      parts.map(({ name }) => ({ name, value: '' })),
      one.refuse,
    );
    for (const part of parts) {
      chunks.push(Buffer.from(`--${boundary}\r\n${partHead(part, one.refuse)}\r\n\r\n`));
      chunks.push(typeof part.content === 'string' ? Buffer.from(part.content) : part.content);
      chunks.push(Buffer.from('\r\n'));
    }
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return { content_type: `multipart/form-data; boundary=${boundary}`, content: Buffer.concat(chunks) };
}

function partsOf({ name, value, field, refuse }: GivenField): readonly Part[] {
  const spelling = field?.spelling ?? null;
  if (spelling !== null && !isFile(value)) {
    return pairsOf(name, spelling, value, (text) => text, refuse).map((pair) => ({
      name: pair.name,
      filename: null,
      content_type: field?.content_type ?? null,
      content: pair.value,
    }));
  }
  return itemsOf(value, field).map((item) => partOf(name, item, field?.content_type ?? null, refuse));
}

function partOf(name: string, item: unknown, type: string | null, refuse: Refuse): Part {
  if (isFile(item)) {
    return {
      name,
      filename: item.filename ?? name,
      content_type: item.content_type ?? type ?? 'application/octet-stream',
      content: decodeBase64(item, refuse),
    };
  }
  if (typeof item === 'object' || (type !== null && isJson(type))) {
    return {
      name,
      filename: null,
      content_type: type ?? 'application/json',
      content: jsonText(item, refuse),
    };
  }
  // A server takes a part for a file when it has a file name.
  const isBinary = type !== null && !type.startsWith('text/');
  return { name, filename: isBinary ? name : null, content_type: type, content: plainText(item, refuse) };
}

/** RFC 7578 section 4.2, with quotes encoded as browsers do it. */
function partHead({ name, filename, content_type }: Part, refuse: Refuse): string {
  const lines = [`content-disposition: form-data; name=${quoted(name, refuse)}`];
  if (filename !== null) lines[0] += `; filename=${quoted(filename, refuse)}`;
  if (content_type !== null) {
    const isType = bareType(content_type) !== null && /^[\x20-\x7e]*$/.test(content_type);
    if (!isType) throw refuse('has a content type that is none');
    lines.push(`content-type: ${content_type}`);
  }
  return lines.join('\r\n');
}

function quoted(text: string, refuse: Refuse): string {
  if (CONTROL.test(plainText(text, refuse))) throw refuse('has a control character in its name');
  return `"${text.replaceAll('"', '%22')}"`;
}
