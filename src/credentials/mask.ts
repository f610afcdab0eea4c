/**
 * Masks resolved credentials wherever they come back: in replies of upstreams, in the output of containers, and in
 * what is told of either. A value is known in the forms that programs echo it in.
 */
import { reveal, type Secret } from './secret.ts';

export const MASK = '[secret]';

/** Shorter base64 in the midst of other base64 would be found by chance. */
const MIN_INNER_BASE64 = 8;
/** Lines of a secret of several lines that are masked alone: `BEGIN` and brackets are no secrets. */
const MIN_LINE = 12;

/** The secrets of one call; it learns while the call goes on. */
export interface Mask {
  /** From now on the secret and its encoded forms are masked. */
  add(secret: Secret): void;
  /** Whether there is nothing to mask. */
  isEmpty(): boolean;
  /** The text with each occurrence masked. */
  text(text: string): string;
  /** The bytes with each occurrence masked; the same buffer when there is none. */
  bytes(bytes: Buffer): Buffer;
  /** A JSON value with its texts, keys and numbers masked; the same value when there is nothing to mask. */
  value(value: unknown): unknown;
  /** For output that comes in pieces: an occurrence that lies across them is masked too. */
  stream(): MaskStream;
  /** All that is masked, in clear, to make the same mask in another thread; for nothing else. */
  forms(): readonly string[];
}

export interface MaskStream {
  /** What is certain so far. The end of a chunk is held back while it may be the beginning of a secret. */
  push(chunk: Uint8Array): Buffer;
  /** What was held back. */
  end(): Buffer;
}

/** `forms`: those of a mask of another thread. */
export function createMask(forms: readonly string[] = []): Mask {
  /** The forms as text, and as bytes written in latin1, so that one search serves both. */
  const texts = new Set<string>();
  const bytes = new Set<string>();
  const learn = (form: string): void => {
    texts.add(form);
    bytes.add(Buffer.from(form).toString('latin1'));
  };
  for (const form of forms) learn(form);

  const mask: Mask = {
    add(secret) {
      for (const form of formsOf(reveal(secret))) learn(form);
    },
    forms: () => [...texts],
    isEmpty: () => texts.size === 0,
    text: (text) => maskText(text, texts),
    bytes(buffer) {
      if (bytes.size === 0) return buffer;
      const text = buffer.toString('latin1');
      const masked = maskText(text, bytes);
      return masked === text ? buffer : Buffer.from(masked, 'latin1');
    },
    value: (value) => (texts.size === 0 ? value : maskValue(value, mask)),
    stream: () => createStream(bytes),
  };
  return mask;
}

/** The value itself and how it looks in JSON, HTML, URLs and base64. */
function formsOf(value: string): Set<string> {
  const forms = new Set<string>();
  const whole = [value, ...linesOf(value)];
  for (const text of whole) {
    forms.add(text);
    // JSON within a text of JSON is a common echo.
    forms.add(inJson(text));
    forms.add(inJson(inJson(text)));
    forms.add(htmlOf(text));
    for (const encoded of urlFormsOf(text)) forms.add(encoded);
  }
  for (const text of new Set([value, inJson(value)])) {
    for (const encoded of base64FormsOf(Buffer.from(text))) {
      forms.add(encoded);
      forms.add(encodeURIComponent(encoded));
    }
  }
  forms.delete('');
  return forms;
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function linesOf(value: string): string[] {
  if (!value.includes('\n')) return [];
  return value
    .split('\n')
    .map((line) => line.trim())
    .filter(({ length }) => length >= MIN_LINE);
}

function htmlOf(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** Encoders differ in what they leave as it is, in the space, and in the case of their digits. */
function urlFormsOf(text: string): string[] {
  const plain = encodeURIComponent(text.toWellFormed());
  const strict = plain.replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const forms = [plain, strict].flatMap((form) => [
    form,
    form.replaceAll('%20', '+'),
    form.replaceAll('%2F', '/'),
  ]);
  return forms.flatMap((form) => [form, form.replace(/%[0-9A-F]{2}/g, (digits) => digits.toLowerCase())]);
}

/** In both alphabets; at the three places that it may have in a longer text, without what its neighbours change. */
function base64FormsOf(value: Buffer): string[] {
  const forms = [value.toString('base64').replace(/=+$/, '')];
  for (const before of [1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), value])
      .toString('base64')
      .replace(/=+$/, '');
    forms.push(shifted.slice(before + 1));
  }
  const [alone = '', ...inner] = forms;
  // The last digit holds bits of what follows, unless the value ends with a whole group.
  const open = forms.map((form, before) => ((value.length + before) % 3 === 0 ? form : form.slice(0, -1)));
  const kept = [alone, ...[...inner, ...open].filter(({ length }) => length >= MIN_INNER_BASE64)];
  return kept.flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}

/** Start and end of a stretch that is masked. */
type Span = [start: number, end: number];

/** What the forms cover, in order; stretches that touch an earlier one are one with it. */
function spansOf(text: string, forms: ReadonlySet<string>): Span[] {
  const found: Span[] = [];
  for (const form of forms) {
    let at = text.indexOf(form);
    while (at !== -1) {
      found.push([at, at + form.length]);
      at = text.indexOf(form, at + 1);
    }
  }
  if (found.length < 2) return found;
  found.sort((a, b) => a[0] - b[0]);
  const merged: Span[] = [];
  for (const span of found) {
    const last = merged.at(-1);
    if (last !== undefined && span[0] < last[1]) last[1] = Math.max(last[1], span[1]);
    else merged.push(span);
  }
  return merged;
}

function maskText(text: string, forms: ReadonlySet<string>): string {
  const spans = spansOf(text, forms);
  if (spans.length === 0) return text;
  let masked = '';
  let from = 0;
  for (const [start, end] of spans) {
    masked += text.slice(from, start) + MASK;
    from = end;
  }
  return masked + text.slice(from);
}

function maskValue(value: unknown, mask: Mask): unknown {
  if (typeof value === 'string') return mask.text(value);
  if (typeof value === 'number') {
    const text = String(value);
    return mask.text(text) === text ? value : MASK;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => maskValue(item, mask));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const entries = Object.entries(value).map(
    ([key, item]) => [mask.text(key), maskValue(item, mask)] as const,
  );
  const same = Object.entries(value).every(
    ([key, item], index) => entries[index]?.[0] === key && entries[index][1] === item,
  );
  return same ? value : Object.fromEntries(entries);
}

function createStream(forms: ReadonlySet<string>): MaskStream {
  let held = '';
  /** So much of `held` belongs to a secret whose mask was written already. */
  let covered = 0;

  /** Writes all before `until`, and keeps the rest. */
  const write = (until: number): Buffer => {
    const spans = spansOf(held, forms);
    if (covered > 0) spans.unshift([0, covered]);
    let out = '';
    let from = 0;
    let cut = Math.max(0, covered - until);
    for (const [index, [start, end]] of spans.entries()) {
      if (start >= until) break;
      if (end <= from) continue;
      out += held.slice(from, Math.max(from, start));
      // The mask of the first stretch was written when its beginning was.
      if (!(index === 0 && covered > 0) && start >= from) out += MASK;
      from = Math.min(end, until);
      cut = Math.max(cut, end - until);
    }
    out += held.slice(from, until);
    held = held.slice(until);
    covered = cut;
    return Buffer.from(out, 'latin1');
  };

  return {
    push(chunk) {
      held += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
      return write(certainUntil(held, forms));
    },
    end: () => write(held.length),
  };
}

/** Where the first stretch begins that more text could turn into an occurrence. */
function certainUntil(text: string, forms: ReadonlySet<string>): number {
  let until = text.length;
  for (const form of forms) {
    const first = form.charAt(0);
    let at = text.indexOf(first, Math.max(0, text.length - form.length + 1));
    while (at !== -1 && at < until) {
      if (form.startsWith(text.slice(at))) until = at;
      at = text.indexOf(first, at + 1);
    }
  }
  return until;
}
