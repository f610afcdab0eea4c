/** What a reconcile changed, as events of the audit trail (docs/reference/audit.md). */
import type { AuditEvent, EventBody, EventType } from '../audit/event.ts';
import { type Diagnostic, formatDiagnostic } from '../manifest/diagnostic.ts';
import type { Kind } from '../manifest/kind.ts';
import type { Identity } from '../manifest/manifest.ts';
import type { Verdict } from './compile.ts';

const REGISTERED: { readonly [K in Kind]?: EventType } = {
  ApiSpec: 'ApiSpecRegistered',
  ToolWorkflow: 'WorkflowRegistered',
  CliTool: 'CliToolRegistered',
};

/** Who brought a change about; null: not known, as for a directory without version control. */
export interface Author {
  readonly registered_by: string | null;
  readonly subject: string | null;
}

export type Change = EventBody & { readonly tenant_id: AuditEvent['tenant_id'] };

/** What was known of a manifest before: what was in force, and which errors were told. */
export interface Known {
  readonly identity: Identity;
  readonly file: string;
  readonly applied_digest: string | null;
  /** The version that was tried and its errors, wherever they stood; empty: it was good. */
  readonly faults: string;
}

/** What the next reconcile has to know of this one; what is the same as before is the same object. */
export function knownOf(
  verdicts: ReadonlyMap<string, Verdict>,
  before: ReadonlyMap<string, Known> = new Map(),
): ReadonlyMap<string, Known> {
  return new Map(
    [...verdicts].map(([key, verdict]) => {
      const { identity, file } = verdict;
      const one: Known = { identity, file, applied_digest: digestOf(verdict), faults: faultsOf(verdict) };
      const earlier = before.get(key);
      return [key, earlier !== undefined && isSame(one, earlier) ? earlier : one];
    }),
  );
}

function isSame(a: Known, b: Known): boolean {
  return a.applied_digest === b.applied_digest && a.file === b.file && a.faults === b.faults;
}

/** One event for each manifest that was applied, rejected or removed, in order of key. */
export function changesBetween(
  before: ReadonlyMap<string, Known>,
  after: ReadonlyMap<string, Verdict>,
  revision: string,
  author: Author,
): Change[] {
  const changes: Change[] = [];
  for (const verdict of after.values()) {
    const earlier = before.get(verdict.key);
    if (verdict.status === 'Ready' && digestOf(verdict) !== (earlier?.applied_digest ?? null)) {
      changes.push(...appliedEvents(verdict, revision, author));
    }
    const faults = faultsOf(verdict);
    if (faults !== '' && faults !== earlier?.faults) changes.push(rejectedEvent(verdict, revision, author));
  }
  for (const [key, known] of before) {
    if (!after.has(key))
      changes.push(change(known, 'ManifestRemoved', { ...facts(known), revision, ...author }));
  }
  return changes;
}

/** Errors that belong to no manifest, by file. */
export type Loose = ReadonlyMap<string, readonly Diagnostic[]>;

/** Those that are not told of some manifest. */
export function looseOf(diagnostics: readonly Diagnostic[], verdicts: ReadonlyMap<string, Verdict>): Loose {
  const told = new Set([...verdicts.values()].flatMap((verdict) => verdict.diagnostics));
  const loose = diagnostics.filter((one) => one.severity === 'error' && !told.has(one));
  return Map.groupBy(loose, ({ file }) => file);
}

/** One event for each file that holds other errors of no manifest than before. */
export function looseChanges(before: Loose, after: Loose, revision: string, author: Author): Change[] {
  return [...after].flatMap(([file, diagnostics]) => {
    const known = (before.get(file) ?? []).map(({ message }) => message);
    if (JSON.stringify(known) === JSON.stringify(diagnostics.map(({ message }) => message))) return [];
    const reasons = diagnostics.slice(0, MAX_REASONS).map(formatDiagnostic);
    const facts = { kind: null, name: null, file, status: 'Invalid', reasons, serving: 'nothing' };
    return [{ event_type: 'ManifestRejected', tenant_id: null, payload: { ...facts, revision, ...author } }];
  });
}

const MAX_REASONS = 10;

function faultsOf({ status, digest, diagnostics }: Verdict): string {
  if (status === 'Ready') return '';
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  return JSON.stringify([digest, ...errors.map(({ message }) => message)]);
}

function digestOf({ applied }: Verdict): string | null {
  return applied?.manifest.digest ?? null;
}

function appliedEvents(verdict: Verdict, revision: string, author: Author): Change[] {
  const { kind, name } = verdict.identity;
  const events = [
    change(verdict, 'ManifestApplied', { ...facts(verdict), digest: verdict.digest, revision, ...author }),
  ];
  const registered = REGISTERED[kind];
  if (registered !== undefined)
    events.push(change(verdict, registered, { name, registered_by: author.registered_by, revision }));
  return events;
}

function rejectedEvent(verdict: Verdict, revision: string, author: Author): Change {
  const serving = verdict.applied === null ? 'nothing' : 'last good version';
  return change(verdict, 'ManifestRejected', {
    ...facts(verdict),
    status: verdict.status,
    reasons: reasonsOf(verdict),
    serving,
    revision,
    ...author,
  });
}

function reasonsOf({ diagnostics }: Verdict): string[] {
  return diagnostics
    .filter(({ severity }) => severity === 'error')
    .slice(0, MAX_REASONS)
    .map(formatDiagnostic);
}

function facts({ identity, file }: Pick<Known, 'identity' | 'file'>): Record<string, unknown> {
  return { kind: identity.kind, name: identity.name, file };
}

function change(
  { identity }: Pick<Known, 'identity'>,
  event_type: EventType,
  payload: Record<string, unknown>,
): Change {
  return { event_type, payload, tenant_id: identity.kind === 'Tenant' ? identity.name : identity.tenant };
}
