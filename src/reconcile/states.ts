/** Verdicts as the states that status shows. */
import type { Diagnostic } from '../manifest/diagnostic.ts';
import type { Verdict } from './compile.ts';
import type { ManifestState } from './status.ts';

/**
 * States by key, each with the time of its last change. `applied`: the revision that what is Ready came into force with;
 * null: the change is held back, and what is in force is of another one.
 */
export function statesOf(
  verdicts: ReadonlyMap<string, Verdict>,
  before: ReadonlyMap<string, ManifestState>,
  revision: string,
  now: string,
  applied: string | null = revision,
): ReadonlyMap<string, ManifestState> {
  return new Map(
    [...verdicts.values()].map((verdict) => [
      verdict.key,
      stateOf(verdict, before.get(verdict.key), revision, now, applied),
    ]),
  );
}

function stateOf(
  verdict: Verdict,
  earlier: ManifestState | undefined,
  revision: string,
  now: string,
  came_with: string | null,
): ManifestState {
  const { identity, status, diagnostics, digest, applied } = verdict;
  const told = diagnostics.find(({ severity }) => severity === 'error') ?? diagnostics[0];
  const applied_digest = applied?.manifest.digest ?? null;
  const reason = told === undefined ? null : reasonOf(told);
  const place = told ?? verdict;
  const same =
    earlier !== undefined &&
    earlier.digest === digest &&
    earlier.status === status &&
    earlier.reason === reason;
  const revision_applied = revisionApplied(verdict, earlier, came_with);
  // Most states are those of the reconcile before.
  if (
    same &&
    earlier.applied_digest === applied_digest &&
    earlier.revision_applied === revision_applied &&
    earlier.file === place.file &&
    earlier.line === place.line &&
    earlier.column === place.column
  )
    return earlier;
  return {
    ...identity,
    status,
    reason,
    file: place.file,
    line: place.line,
    column: place.column,
    digest,
    applied_digest,
    revision_attempted: same ? earlier.revision_attempted : revision,
    revision_applied,
    changed_at: same ? earlier.changed_at : now,
  };
}

/** With the hint: status is where a manifest is mended by. */
function reasonOf({ message, hint }: Diagnostic): string {
  return hint === null ? message : `${message} (${hint})`;
}

/** null: nothing is in force, or it was left by an earlier run, and of which revision nobody knows any more. */
function revisionApplied(
  { applied, digest, status }: Verdict,
  earlier: ManifestState | undefined,
  came_with: string | null,
): string | null {
  if (applied === null) return null;
  const inForce = applied.manifest.digest;
  if (earlier?.applied_digest === inForce) return earlier.revision_applied;
  return status === 'Ready' && inForce === digest ? came_with : null;
}
