/**
 * Postgres keeps any text but NUL. NUL is kept as U+001A and `0`, and U+001A itself as U+001A and `1`: all else is kept
 * as it is. Hashes cover the text, not how it is kept. JSON has neither character.
 */
export function kept<T extends string | null>(text: T): T | string {
  if (text === null || !(text.includes('\0') || text.includes('\u001a'))) return text;
  return text.replaceAll('\u001a', '\u001a1').replaceAll('\0', '\u001a0');
}

export function asGiven<T extends string | null>(text: T): T | string {
  if (text === null || !text.includes('\u001a')) return text;
  return text.replaceAll('\u001a0', '\0').replaceAll('\u001a1', '\u001a');
}
