/** Bytes in JSON: `{base64}`, and for a part of a form also its file name and media type. */
import { isObject } from './reference.ts';
import type { Refuse } from './value.ts';

export interface FileValue {
  readonly base64: string;
  readonly filename?: string;
  readonly content_type?: string;
}

const KEYS: ReadonlySet<string> = new Set(['base64', 'filename', 'content_type']);

/** Whether a value is bytes; an object with any other field is one like any other. */
export function isFile(value: unknown): value is FileValue {
  if (!isObject(value) || typeof value.base64 !== 'string') return false;
  return Object.entries(value).every(([key, item]) => KEYS.has(key) && typeof item === 'string');
}

/** Standard or URL-safe, padded or not. */
export function decodeBase64({ base64 }: FileValue, refuse: Refuse): Buffer {
  const bare = base64.replace(/={1,2}$/, '');
  const isBase64 = /^[A-Za-z0-9+/_-]*$/.test(bare) && bare.length % 4 !== 1;
  if (!isBase64) throw refuse('holds base64 that cannot be read');
  return Buffer.from(bare, 'base64');
}
