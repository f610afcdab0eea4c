/** The body of a request, in the media type that fits what is given. */
import { decodeBase64, isFile } from './file.ts';
import { buildForm } from './form.ts';
import { bareType, covers, kindOf } from './media-type.ts';
import { buildMultipart } from './multipart.ts';
import type { BodyKind, BodyType, Operation, RequestBody } from './operation.ts';
import { parameterError } from './parameter-value.ts';
import { isObject } from './reference.ts';
import { jsonText, plainText, type Refuse } from './value.ts';

export interface BuiltBody {
  readonly content_type: string;
  readonly content: string | Uint8Array;
}

/**
 * The body of an operation. `asked` is the content type that is given as a header, and decides among the media types
 * of the operation; else it is the first that can carry the value. null: there is no body. Throws INVALID_ARGUMENTS.
 */
export function buildBody(operation: Operation, value: unknown, asked: string | null): BuiltBody | null {
  if (value === undefined || operation.body === null) return null;
  const refuse: Refuse = (why) => parameterError('body', 'body', `the body of ${operation.id} ${why}`);
  const type = asked === null ? chooseType(operation.body, value) : askedType(operation, asked, refuse);
  if (type === null) {
    const types = operation.body.types.map(({ media_type }) => media_type).join(', ');
    throw refuse(`needs a header content-type that is one of ${types}`);
  }
  return write(type, value, asked, refuse);
}

/** null: only a range of media types is known, and none of them stands for all. */
function chooseType({ types }: RequestBody, value: unknown): BodyType | null {
  const type = types.find(({ kind }) => carries(kind, value)) ?? types[0]!;
  if (!type.media_type.includes('*')) return type;
  if (type.kind === 'json') return { ...type, media_type: 'application/json' };
  return type.media_type === 'text/*' ? { ...type, media_type: 'text/plain' } : null;
}

/** null: the operation does not take this media type. */
function askedType(operation: Operation, asked: string, refuse: Refuse): BodyType | null {
  const media_type = bareType(asked);
  const kind = media_type === null ? null : kindOf(media_type);
  if (media_type === null || kind === null)
    throw refuse('cannot be written in the content type that is given');
  if (operation.literal) return { media_type, kind, fields: new Map() };
  const type = operation.body?.types.find((one) => covers(one.media_type, media_type));
  return type === undefined ? null : { ...type, media_type, kind };
}

/** Whether a value can be written in this way at all. */
function carries(kind: BodyKind, value: unknown): boolean {
  if (kind === 'json') return true;
  if (kind === 'text') return typeof value === 'string';
  if (kind === 'binary') return typeof value === 'string' || isFile(value);
  const holdsFiles = isObject(value) && Object.values(value).flat().some(isFile);
  return isObject(value) && !isFile(value) && !(kind === 'form' && holdsFiles);
}

function write(type: BodyType, value: unknown, asked: string | null, refuse: Refuse): BuiltBody {
  const content_type = asked ?? type.media_type;
  switch (type.kind) {
    case 'json':
      return { content_type, content: jsonText(value, refuse) };
    case 'form':
      return { content_type, content: buildForm(type.fields, fieldsOf(value, refuse), refuse) };
    case 'multipart':
      return buildMultipart(type.fields, fieldsOf(value, refuse), refuse);
    case 'text':
      if (typeof value !== 'string') throw refuse(`must be a text, as it is sent as ${type.media_type}`);
      return { content_type: withCharset(content_type), content: plainText(value, refuse) };
    case 'binary':
      return { content_type, content: bytesOf(value, refuse) };
  }
}

/** Text without a charset is ASCII to some (RFC 2046 section 4.1.2); other types have their own rules. */
function withCharset(contentType: string): string {
  return contentType.startsWith('text/') && !contentType.includes(';')
    ? `${contentType}; charset=utf-8`
    : contentType;
}

function fieldsOf(value: unknown, refuse: Refuse): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw refuse('must be an object, as it is sent as a form');
  return value;
}

function bytesOf(value: unknown, refuse: Refuse): Uint8Array {
  if (typeof value === 'string') return Buffer.from(plainText(value, refuse));
  if (isFile(value)) return decodeBase64(value, refuse);
  throw refuse('must be a text or {base64}, as it is sent as bytes');
}
