/**
 * Whole numbers that a double cannot hold, kept. Ids of 64 bits are written as numbers by many APIs, and JSON.parse
 * rounds them without a word: the reply would name another object than the upstream did.
 */

/** Digits of the shortest number that is rounded. */
const RUN = /\d{16}/g;
const BEFORE = /[[:,\s]/;
/** What goes on as a fraction or an exponent is no whole number. */
const AFTER = /[\s,\]}]/;

/**
 * The JSON text with every whole number beyond 2^53 - 1, either side of zero, as the text that it was written as: the
 * mapping of 64-bit integers that Protocol Buffers have for JSON. What is no JSON stays none. For texts that are known to
 * have such numbers: only to look for them would cost a third of JSON.parse.
 */
export function withExactIntegers(text: string): string {
  const parts: string[] = [];
  let copied = 0;
  /** Outside of strings from here to the next quote. */
  let outside = 0;
  let quote = -1;
  for (const [start, end] of longIntegers(text)) {
    while (outside <= start) {
      if (quote < outside) quote = text.indexOf('"', outside);
      if (quote < 0) quote = text.length;
      if (quote > start) break;
      outside = endOfString(text, quote);
    }
    if (outside > start || Number.isSafeInteger(Number(text.slice(start, end)))) continue;
    parts.push(text.slice(copied, start), '"', text.slice(start, end), '"');
    copied = end;
  }
  return copied === 0 ? text : parts.join('') + text.slice(copied);
}

/** From where to where there are whole numbers of so many digits, or texts that hold what looks like one. */
function* longIntegers(text: string): Generator<readonly [start: number, end: number]> {
  for (const { index } of text.matchAll(RUN)) {
    const start = text[index - 1] === '-' ? index - 1 : index;
    if (start > 0 && !BEFORE.test(text[start - 1]!)) continue;
    let end = index + 16;
    while (isDigit(text.charCodeAt(end))) end += 1;
    if (end === text.length || AFTER.test(text[end]!)) yield [start, end];
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** The place after the string that begins at `quote`; the end of the text where it does not end. */
function endOfString(text: string, quote: number): number {
  for (let at = text.indexOf('"', quote + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}
