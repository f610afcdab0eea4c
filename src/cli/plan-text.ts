/** A plan as text: `+` added, `~` changed, `-` removed, `>` moved; `!` marks what grants more than before. */
import { formatDiagnostic } from '../manifest/diagnostic.ts';
import { nameOf } from '../manifest/manifest.ts';
import { isEmpty, type Plan, type ResourceChange, type RightsDiff } from '../reconcile/plan.ts';

const SIGN = { add: '+', change: '~', remove: '-', move: '>' } as const;
const MAX_VALUE = 200;
/** Fields of one resource; the JSON has all. */
const MAX_FIELDS = 50;

export function planText(plan: Plan, from: string, to: string): string {
  const lines = [`plan: ${from} -> ${to}`, ''];
  const part = (heading: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push(heading, ...rows, '');
  };
  part(
    'Errors and warnings',
    plan.diagnostics.map((one) => `  ${formatDiagnostic(one)}`),
  );
  part('Resources', plan.resources.flatMap(resourceLines));
  part(
    'Tools',
    plan.tools.flatMap(({ tenant, appear, disappear }) => [
      ...appear.map((tool) => `+ ${tool} (${tenantName(tenant)})`),
      ...disappear.map((tool) => `- ${tool} (${tenantName(tenant)})`),
    ]),
  );
  part('Rights', plan.rights.flatMap(rightsLines));
  if (plan.held !== null) part('Held', [`! The gateway would hold this change back: ${plan.held}`]);
  lines.push(summary(plan));
  return lines.map((line) => `${plain(line)}\n`).join('');
}

function resourceLines(change: ResourceChange): string[] {
  const from = change.moved_from === null ? '' : `, was ${change.moved_from}`;
  const more = change.fields.length - MAX_FIELDS;
  return [
    `${SIGN[change.action]} ${nameOf(change)} (${change.file}:${change.line}${from})`,
    ...change.fields
      .slice(0, MAX_FIELDS)
      .map(({ field, before, after }) => `    ${field}: ${shown(before)} -> ${shown(after)}`),
    ...(more > 0 ? [`    and ${more} more fields: see --output json`] : []),
  ];
}

function rightsLines(diff: RightsDiff): string[] {
  return [
    `  ${nameOf(diff)}`,
    ...diff.changes.map(
      ({ direction, what, detail }) =>
        `${direction === 'widened' ? '!' : '-'}   ${direction} ${what}: ${detail}`,
    ),
  ];
}

function summary(plan: Plan): string {
  if (isEmpty(plan)) return 'No changes.';
  const count = (action: ResourceChange['action']): number =>
    plan.resources.filter((change) => change.action === action).length;
  const widenings = plan.rights
    .flatMap(({ changes }) => changes)
    .filter(({ direction }) => direction === 'widened').length;
  return `${count('add')} to add, ${count('change')} to change, ${count('remove')} to remove, ${count('move')} moved; ${widenings} widened rights.`;
}

function shown(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

function tenantName(tenant: string | null): string {
  return tenant === null ? 'no tenant' : `tenant ${tenant}`;
}

/** Names and values are those of whoever proposes the change: none may look like another line, or read backwards. */
function plain(line: string): string {
  return line
    .toWellFormed()
    .replace(
      /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu,
      (one) => `\\u${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
    );
}
