/** Percent-encoding undone, for every rule that must see a path as the last of several readers will. */

/** More rounds of percent-encoding than any honest client nests, or any server undoes. */
const MAX_ROUNDS = 8;

/** Decodes `%XX` until nothing changes; null when that is not UTF-8, as overlong forms are not, or takes more than eight rounds. */
export function decodeFully(text: string): string | null {
  let current = text;
  for (let round = 0; round <= MAX_ROUNDS; round += 1) {
    const next = decodeOnce(current);
    if (next === current || next === null) return next;
    current = next;
  }
  return null;
}

/** Decodes each run of `%XX`; a percent sign that begins none stays as it is. */
function decodeOnce(text: string): string | null {
  try {
    return text.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
