/** The status of a gateway as lines for people. */
import type { CredentialStatus } from '../credentials/sources.ts';
import type { EngineState } from '../execute/container-engine.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import type { ManifestState, ReconcileStatus } from '../reconcile/status.ts';
import type { Replica } from '../store/store.ts';
import { table } from './output.ts';

/** What `GET /v1/status` answers. */
export interface GatewayStatus extends ReconcileStatus {
  /** The gateways of the store; null: they cannot be told. Absent from gateways before 0.2. */
  readonly replicas?: readonly Replica[] | null;
  /** Where credentials come from, and how that is doing. Absent from gateways before 0.2. */
  readonly credentials?: CredentialStatus;
  /** What runs CLI tools. Absent from gateways before 0.2. */
  readonly container_engine?: EngineState;
}

const REPLICAS = ['REPLICA', 'REVISION', 'VERSION', 'STARTED', 'SEEN'];
const HEAD = ['KIND', 'NAME', 'STATUS', 'REVISION', 'REASON', 'WHERE'];

/**
 * A head line, what is wrong with the whole, and a row for each manifest, those that are not Ready first. `now`:
 * milliseconds since the Unix epoch.
 */
export function statusText(status: GatewayStatus, now: number): string {
  const { error, manifests, diagnostics, replicas, credentials, container_engine } = status;
  const lines = [headLine(status, now)];
  if (replicas === null) lines.push('the other gateways of the store cannot be told now');
  if (replicas && replicas.length > 1)
    lines.push('', table([REPLICAS, ...replicas.map((one) => replicaRow(one, now))]), '');
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
  if (credentials !== undefined) lines.push(...credentialLines(credentials));
  const rows = [...manifests].sort((a, b) => Number(isReady(a)) - Number(isReady(b))).map(rowOf);
  if (rows.length > 0) lines.push('', table([HEAD, ...rows]));
  if (diagnostics.length > 0) lines.push('', ...diagnostics.map(formatDiagnostic));
  return lines.join('\n');
}

/** Where credentials come from; nothing, where none do. */
function credentialLines({ openbao, development_providers, open_leases }: CredentialStatus): string[] {
  const lines: string[] = [];
  if (openbao !== null) {
    const { health, method, problem, expires_at, logged_in, unreachable } = openbao;
    const login = logged_in ? `logged in by ${method}` : (problem ?? 'not logged in');
    const until = expires_at === null ? '' : ` until ${expires_at}`;
    const state = unreachable ?? `OpenBao is ${health}`;
    lines.push(`${state}, ${login}${until}; leases in use: ${open_leases}`);
  }
  if (development_providers.length > 0) {
    lines.push(`DEVELOPMENT: secrets come from this machine (${development_providers.join(', ')})`);
  }
  return lines;
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

function replicaRow({ address, revision, version, started_at, seen_at }: Replica, now: number): string[] {
  const applied = revision === null ? '-' : shortRevision(revision);
  return [address, applied, version, ageOf(started_at, now), ageOf(seen_at, now)];
}

/** Twelve characters of a commit, or of a digest; what an earlier run has left says so. */
function shortRevision(revision: string): string {
  if (revision.startsWith('last-good:')) return revision.slice(0, 'last-good:'.length + 12);
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
