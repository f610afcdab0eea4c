/** What a reconcile changed, as events of the audit trail (protocol section 8). */
import type { AuditEvent, EventBody, EventType } from '../audit/event.ts';
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import type { Kind } from '../manifest/kind.ts';
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

type Verdicts = ReadonlyMap<string, Verdict>;

/** One event for each manifest that was applied, rejected or removed, in order of key. */
export function changesBetween(
  before: Verdicts,
  after: Verdicts,
  revision: string,
  author: Author,
): Change[] {
  const changes: Change[] = [];
  for (const verdict of after.values()) {
    const earlier = before.get(verdict.key);
    const digest = verdict.applied?.manifest.digest ?? null;
    const applied =
      verdict.status === 'Ready' &&
      digest !== (earlier?.status === 'Ready' ? earlier.applied!.manifest.digest : null);
    if (applied) changes.push(...appliedEvents(verdict, revision, author));
    const rejected =
      verdict.status !== 'Ready' &&
      reasonsOf(verdict).join() !== (earlier === undefined ? null : reasonsOf(earlier).join());
    if (rejected) changes.push(rejectedEvent(verdict, revision, author));
  }
  for (const verdict of before.values()) {
    if (!after.has(verdict.key))
      changes.push(change(verdict, 'ManifestRemoved', { ...facts(verdict), revision, ...author }));
  }
  return changes;
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
    .slice(0, 10)
    .map(formatDiagnostic);
}

function facts({ identity, file }: Verdict): Record<string, unknown> {
  return { kind: identity.kind, name: identity.name, file };
}

function change({ identity }: Verdict, event_type: EventType, payload: Record<string, unknown>): Change {
  return { event_type, payload, tenant_id: identity.kind === 'Tenant' ? identity.name : identity.tenant };
}
