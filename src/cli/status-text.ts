/** The status of a gateway as lines for people. */
import type { EngineState } from '../execute/container-engine.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import type { ManifestState, ReconcileStatus } from '../reconcile/status.ts';
import { table } from './output.ts';

/** What the gateway says of the engine that runs CLI tools; a gateway of an older version says nothing. */
export interface EngineStatus {
  readonly container_engine?: EngineState;
}

const HEAD = ['KIND', 'NAME', 'STATUS', 'REVISION', 'REASON', 'WHERE'];

/**
 * A head line, what is wrong with the whole, and a row for each manifest, those that are not Ready first. `now`:
 * milliseconds since the Unix epoch.
 */
export function statusText(status: ReconcileStatus & EngineStatus, now: number): string {
  const { error, manifests, diagnostics, container_engine } = status;
  const lines = [headLine(status, now)];
  // Whoever has no CLI tools needs no engine.
  if (container_engine !== undefined && manifests.some(({ kind }) => kind === 'CliTool')) {
    const { name, version, address, error: missing } = container_engine;
    lines.push(
      missing === null
        ? `container engine: ${name} ${version} at ${address}`
        : `no container engine: ${missing}`,
    );
  }
  if (error !== null) lines.push(`error: ${error}`);
  const rows = [...manifests].sort((a, b) => Number(isReady(a)) - Number(isReady(b))).map(rowOf);
  if (rows.length > 0) lines.push('', table([HEAD, ...rows]));
  if (diagnostics.length > 0) lines.push('', ...diagnostics.map(formatDiagnostic));
  return lines.join('\n');
}

function headLine(status: ReconcileStatus, now: number): string {
  const { revision, revision_attempted, generation, last_success_at, signer, watch, manifests } = status;
  const ready = manifests.filter(isReady).length;
  const applied =
    revision === null
      ? 'nothing is applied'
      : `revision ${shortRevision(revision)} applied ${ageOf(last_success_at, now)} (generation ${generation})`;
  const facts = [
    applied,
    ...(revision_attempted === null || revision_attempted === revision
      ? []
      : [`${shortRevision(revision_attempted)} attempted`]),
    ...(signer === null ? [] : [`signed by ${signer.signer}`]),
    manifests.length === 0 ? 'no manifests' : `${ready} of ${manifests.length} manifests Ready`,
    watch === 'events' ? 'watching' : 'scanning',
  ];
  return facts.join(', ');
}

function isReady({ status }: ManifestState): boolean {
  return status === 'Ready';
}

function rowOf(state: ManifestState): string[] {
  const { kind, tenant, name, status, reason, file, line, column, revision_applied } = state;
  return [
    kind,
    tenant === null ? name : `${tenant}/${name}`,
    status,
    revision_applied === null ? '-' : shortRevision(revision_applied),
    reason ?? '-',
    `${file}:${line}:${column}`,
  ];
}

/** Twelve characters of a commit, or of a digest. */
function shortRevision(revision: string): string {
  return revision.replace(/^sha256:/, '').slice(0, 12);
}

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
];

/** `3 min ago`. */
function ageOf(time: string | null, now: number): string {
  if (time === null) return 'by an earlier run';
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}
