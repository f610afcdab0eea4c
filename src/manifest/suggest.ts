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

/**
 * Damerau-Levenshtein distance (optimal string alignment: no part is edited twice), or `limit` when it is that
 * or more.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let distance = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + cost);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        distance = Math.min(distance, beforeLast[column - 2]! + 1);
      }
      current.push(distance);
    }
    if (Math.min(...current) >= limit) return limit;
    beforeLast = last;
    last = current;
  }
  return Math.min(last[b.length]!, limit);
}
