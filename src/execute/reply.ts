/** What a reply means: decoded bytes, then a value by its content type. Upstreams are not trusted to tell the truth. */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';
import { withExactIntegers } from './exact-integers.ts';

export interface Binary {
  readonly base64: string;
}

/** The value of a body, or why it cannot be had. */
export type Reading =
  /** `binary`: the value is {@link Binary} of the whole body. */
  | { readonly value: unknown; readonly binary?: true }
  /** `max_bytes`: what JSON may have, where that is the reason. */
  | { readonly problem: string; readonly max_bytes?: number };

/**
 * V8 ends the whole process, in whatever thread, when JSON.parse runs out of memory. The densest JSON takes 22 times
 * its bytes, and some more on the way.
 */
export const MAX_JSON_BYTES = 24 * 1024 * 1024;
/** Nesting that templates and JSONPath, which recurse, can bear. */
const MAX_DEPTH = 256;

export const JSON_TYPE = /^(?:[^/]+\/)?(?:[^/]+\+)?json$/;
const BINARY_TYPE =
  /^(?:(?:audio|video|font)\/|image\/(?!svg\+xml$)|application\/(?:octet-stream|pdf|zip|gzip)$)/;

type Decoder = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const gunzipAsync: Decoder = promisify(gunzip);
const inflateAsync: Decoder = promisify(inflate);
const inflateRawAsync: Decoder = promisify(inflateRaw);

const DECODERS: Readonly<Record<string, Decoder>> = {
  gzip: gunzipAsync,
  'x-gzip': gunzipAsync,
  // "deflate" is zlib's format by the standard, and the bare stream by many servers.
  deflate: (body, options) =>
    ((body[0] ?? 0) & 0x0f) === 8 ? inflateAsync(body, options) : inflateRawAsync(body, options),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/**
 * Undoes a content coding that was sent although `identity` was asked for, up to `limit` decoded bytes.
 * Chains of codings are refused: nobody sends one honestly to a client that asked for none.
 */
export async function decodeBody(
  body: Buffer,
  encoding: string | undefined,
  limit: number,
): Promise<Buffer | 'too large' | 'unreadable'> {
  const coding = (encoding ?? '').trim().toLowerCase();
  if (coding === '' || coding === 'identity' || body.length === 0) return body;
  const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  if (decoder === undefined) return 'unreadable';
  try {
    return await decoder(body, { maxOutputLength: limit });
  } catch (error) {
    const over = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    return over ? 'too large' : 'unreadable';
  }
}

/** The media type without its parameters, in lower case; null when there is none. */
export function mediaType(contentType: string | undefined): string | null {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  return type === undefined || type === '' ? null : type;
}

/** JSON when the body is JSON, its whole numbers exact, else text, or {@link Binary}; null for an empty body. */
export function readBody(body: Buffer, contentType: string | undefined): Reading {
  if (body.length === 0) return { value: null };
  const type = mediaType(contentType);
  if (type !== null && BINARY_TYPE.test(type)) return { value: binary(body), binary: true };
  const isJson = type !== null && JSON_TYPE.test(type);
  if (isJson && body.length > MAX_JSON_BYTES)
    return { problem: `has more than ${MAX_JSON_BYTES} bytes`, max_bytes: MAX_JSON_BYTES };
  const text = decodeText(body, contentType);
  if (isJson) {
    return text === null ? { problem: 'is not text' } : readJson(text);
  }
  if (text === null) return { value: binary(body), binary: true };
  if (type === null && body.length <= MAX_JSON_BYTES && /^\s*[[{]/.test(text)) {
    const read = readJson(text);
    return 'value' in read ? read : { value: text };
  }
  return { value: text };
}

function readJson(text: string): Reading {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'is not JSON' };
  }
  const found = lookAt(value, MAX_DEPTH);
  if (found === DEEP) return { problem: `nests deeper than ${MAX_DEPTH} levels` };
  return { value: found === FINE ? value : JSON.parse(withExactIntegers(text)) };
}

/** What is found in a value, the greater the worse. */
const FINE = 0;
/** A number that may have been written otherwise than it was read. */
const LARGE = 1;
const DEEP = 2;

/** Takes no more of the stack than `limit` levels, and makes nothing, which is most of what looking costs. */
function lookAt(value: unknown, limit: number): number {
  if (!isContainer(value)) return isLarge(value) ? LARGE : FINE;
  if (limit === 0) return DEEP;
  let found = FINE;
  if (Array.isArray(value)) {
    for (const child of value) {
      if (isContainer(child)) found = Math.max(found, lookAt(child, limit - 1));
      else if (isLarge(child)) found = Math.max(found, LARGE);
      if (found === DEEP) return DEEP;
    }
    return found;
  }
  // Of what JSON.parse made, every enumerable key is its own.
  for (const key in value) {
    const child: unknown = value[key as keyof object];
    if (isContainer(child)) found = Math.max(found, lookAt(child, limit - 1));
    else if (isLarge(child)) found = Math.max(found, LARGE);
    if (found === DEEP) return DEEP;
  }
  return found;
}

function isLarge(value: unknown): boolean {
  return typeof value === 'number' && (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER);
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

export function binary(body: Buffer): Binary {
  return { base64: body.toString('base64') };
}

/** Text in its declared charset, else UTF-8, without byte order mark; null when it is no text. */
function decodeText(body: Buffer, contentType: string | undefined): string | null {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase() ?? 'utf-8';
  if (charset === 'utf-8' || charset === 'utf8') {
    if (!isUtf8(body)) return null;
    const text = body.toString('utf8');
    return plain(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  }
  try {
    return plain(new TextDecoder(charset, { fatal: true }).decode(body));
  } catch {
    return null;
  }
}

/** A NUL says that the bytes were no text after all. */
function plain(text: string): string | null {
  return text.includes('\0') ? null : text;
}
