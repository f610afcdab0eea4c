/** "Did you mean": the candidate that a mistyped word most likely stands for. */

/** Longer words are never names of ours, and comparing them would take time. */
const MAX_LENGTH = 128;

/**
 * The candidate nearest to `word`, or null when none is near: one typing mistake (a wrong, missing, additional
 * or swapped letter) for words of up to four letters, two up to eight, three beyond. Case, `-` and `_` do not
 * count, so `baseURL` finds `base_url`. The first of equally near candidates wins.
 */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  if (word.length > MAX_LENGTH) return null;
  const wanted = fold(word);
  let best: string | null = null;
  let nearest = allowance(wanted) + 1;
  for (const candidate of candidates) {
    if (candidate === word || candidate.length > MAX_LENGTH) continue;
    const distance = editDistance(wanted, fold(candidate), nearest);
    if (distance < nearest) {
      nearest = distance;
      best = candidate;
    }
  }
  return best;
}

function allowance(word: string): number {
  if (word.length <= 4) return 1;
  return word.length <= 8 ? 2 : 3;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Of the comparison under way: thousands of words are compared with one, and none needs memory of its own. */
const ROWS = [1, 2, 3].map(() => new Uint16Array(MAX_LENGTH + 1)) as [Uint16Array, Uint16Array, Uint16Array];

/**
 * Damerau-Levenshtein distance (optimal string alignment: no part is edited twice), or `limit` when it is that
 * or more.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let [beforeLast, last, current] = ROWS;
  for (let column = 0; column <= b.length; column++) last[column] = column;
  for (let row = 1; row <= a.length; row++) {
    current[0] = row;
    let least = row;
    for (let column = 1; column <= b.length; column++) {
      const same = a.charCodeAt(row - 1) === b.charCodeAt(column - 1);
      let distance = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      if (
        row > 1 &&
        column > 1 &&
        a.charCodeAt(row - 1) === b.charCodeAt(column - 2) &&
        a.charCodeAt(row - 2) === b.charCodeAt(column - 1)
      )
        distance = Math.min(distance, beforeLast[column - 2]! + 1);
      current[column] = distance;
      least = Math.min(least, distance);
    }
    if (least >= limit) return limit;
    [beforeLast, last, current] = [last, current, beforeLast];
  }
  return Math.min(last[b.length]!, limit);
}
