/** When a change is held back as a whole: too much would go at once, or one bad manifest stops all (`atomic`). */
import { errorAt } from '../manifest/diagnostic.ts';
import { nameOf } from '../manifest/manifest.ts';
import { locate } from '../manifest/position.ts';
import type { AppliedSet, Verdict } from './compile.ts';

/** A set smaller than this may lose more than half. */
const GUARDED_SIZE = 10;
/** On any manifest of the smaller set: the revision in force that may be pruned, its first twelve characters at least. */
export const ALLOW_PRUNE = 'seal.gateway/allow-prune';

type Verdicts = ReadonlyMap<string, Verdict>;

/**
 * Why a set may not replace the one in force: it is empty, or has lost more than half of ten or more manifests. null:
 * it may, also because one of its manifests confirms with an annotation that names `revision`, the one in force.
 */
export function pruneProblem(
  inForce: ReadonlySet<string>,
  next: Verdicts,
  revision: string | null,
): string | null {
  const lost = [...inForce].filter((key) => !next.has(key)).length;
  const empties = inForce.size > 0 && next.size === 0;
  const halves = inForce.size >= GUARDED_SIZE && lost > inForce.size / 2;
  if (!(empties || halves) || isConfirmed(next, revision)) return null;
  const what = `${lost} of ${inForce.size} manifests would be removed at once, so nothing is changed`;
  // Nothing stays in an empty set.
  const annotation =
    revision === null || next.size === 0
      ? ''
      : `, or put the annotation ${ALLOW_PRUNE}: "${shortOf(revision)}" on a manifest that stays`;
  return `${what}; to allow it, start once with --allow-prune${annotation}`;
}

/** As many characters as no two revisions have in common: of a commit a few more than it takes. */
function shortOf(revision: string): string {
  return revision.slice(0, revision.startsWith('last-good:') ? 22 : 19);
}

function isConfirmed(next: Verdicts, revision: string | null): boolean {
  return [...next.values()].some(({ applied }) => {
    const named = applied?.manifest.annotations[ALLOW_PRUNE];
    return named !== undefined && named.length >= 12 && revision?.startsWith(named) === true;
  });
}

/** Why one bad manifest stops all under `reconcile.policy: atomic`; null: there is none. */
export function atomicProblem(next: Verdicts, looseErrors: number): string | null {
  const bad = [...next.values()].filter(({ status }) => status !== 'Ready').length + looseErrors;
  if (bad === 0) return null;
  return `${bad} ${bad === 1 ? 'error' : 'errors'}, and reconcile.policy is atomic: nothing is changed`;
}

/** The verdicts when all stays as it is: what would change says why it does not. */
export function heldVerdicts(next: Verdicts, inForce: AppliedSet, reason: string): Verdicts {
  const held = new Map<string, Verdict>();
  for (const verdict of next.values()) {
    const applied = inForce.get(verdict.key) ?? null;
    const same = verdict.status === 'Ready' && verdict.digest === applied?.manifest.digest;
    if (same) held.set(verdict.key, { ...verdict, applied });
    else held.set(verdict.key, stale({ ...verdict, applied }, reason));
  }
  for (const [key, applied] of inForce) {
    if (!held.has(key)) held.set(key, verdictOf(key, applied, reason));
  }
  return held;
}

/** Verdicts of what is in force while its source cannot be read. */
export function staleVerdicts(inForce: AppliedSet, reason: string): Verdicts {
  return new Map([...inForce].map(([key, applied]) => [key, verdictOf(key, applied, reason)]));
}

function verdictOf(key: string, applied: Verdict['applied'] & object, reason: string): Verdict {
  const { kind, tenant, name, file, digest, document } = applied.manifest;
  const identity = { kind, tenant, name };
  const place = { file, ...locate(document, '') };
  return stale({ identity, key, ...place, digest, status: 'Stale', diagnostics: [], applied }, reason);
}

function stale(verdict: Verdict, reason: string): Verdict {
  const own = verdict.diagnostics.filter(({ severity }) => severity === 'error');
  const held = errorAt(verdict.file, verdict, 'held', `${nameOf(verdict.identity)} is held back: ${reason}`);
  const status = verdict.applied !== null ? 'Stale' : verdict.status === 'Invalid' ? 'Invalid' : 'Blocked';
  return { ...verdict, status, diagnostics: own.length > 0 ? verdict.diagnostics : [held] };
}
