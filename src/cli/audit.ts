/** `seal-gateway audit list|tail|verify`: reads the trail that the configuration names, also beside a running gateway. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { EventType } from '../audit/event.ts';
import { type Anchor, type Verification, verifyChain } from '../audit/verify.ts';
import { loadConfig } from '../config.ts';
import { openReader } from '../store/open.ts';
import { type EventFilter, type EventReader, type PositionedEvent, StoreOpenError } from '../store/store.ts';
import { CliError, type OutputOptions, print, table } from './output.ts';
import type { CliDeps } from './program.ts';

interface FilterOptions extends OutputOptions {
  readonly config?: string;
  readonly type?: EventType;
  readonly execution?: string;
  readonly tenant?: string;
  readonly since?: string;
  readonly after?: string;
  readonly limit?: string;
}

const FOLLOW_MS = 250;
const HEAD = ['TIME', 'EVENT', 'EXECUTION', 'SUMMARY'];

export function addAudit(program: Command, { console }: CliDeps): void {
  const audit = program
    .command('audit')
    .description('Read and check the audit trail, also beside a running gateway');

  filterOptions(audit.command('list').description('The newest events, oldest first'))
    .option('--after <position>', 'the first events after this position instead')
    .option('--limit <n>', 'how many', '50')
    .action((options: FilterOptions) =>
      withReader(options.config, async (reader) => {
        const events = await reader.query(filterOf(options));
        print(
          console,
          options,
          events,
          events.length === 0 ? 'no such events' : table([HEAD, ...events.map(rowOf)]),
        );
      }),
    );

  filterOptions(audit.command('tail').description('The newest events, and then each new one until Ctrl-C'))
    .option('--limit <n>', 'how many of the past', '10')
    .action((options: FilterOptions) =>
      withReader(options.config, async (reader) => {
        const show = (events: readonly PositionedEvent[]): void => {
          const lines = events.map((event) =>
            options.output === 'json' ? JSON.stringify(event) : rowOf(event).join('  '),
          );
          if (lines.length > 0) console.out(`${lines.join('\n')}\n`);
        };
        await follow(reader, filterOf(options), show, untilStopped());
      }),
    );

  audit
    .command('verify')
    .description('Check the hash chains: nothing changed, removed from between, inserted or swapped')
    .option('--config <file>', 'gateway.yaml that names the database')
    .option(
      '--anchors <file>',
      'heads that an earlier verify printed with --output json: they must still be there',
    )
    .action((options: OutputOptions & { config?: string; anchors?: string }) =>
      withReader(options.config, async (reader) => {
        const anchors = options.anchors === undefined ? [] : readAnchors(options.anchors);
        const verification = await verifyChain(reader.scan(), anchors);
        print(console, options, verification, reportOf(verification, options.anchors !== undefined));
        if (verification.problems.length > 0) throw new CliError('');
      }),
    );
}

/** All of them: a mistyped one would find nothing, as if nothing had happened. */
const EVENT_TYPES: Readonly<Record<EventType, true>> = {
  ToolCallAuthorized: true,
  ToolCallRejected: true,
  RejectionsCounted: true,
  WorkflowInvocationStarted: true,
  WorkflowStepExecuted: true,
  WorkflowInvocationCompleted: true,
  WorkflowInvocationFailed: true,
  ExplorerRequestExecuted: true,
  ExplorerRequestFailed: true,
  CliToolInvocationStarted: true,
  CliToolInvocationCompleted: true,
  CliToolInvocationFailed: true,
  CliToolSemanticRejected: true,
  ToolCallInterrupted: true,
  CredentialExchangeCompleted: true,
  CredentialExchangeFailed: true,
  CredentialBindingAdded: true,
  CredentialBindingRevoked: true,
  ApiSpecRegistered: true,
  WorkflowRegistered: true,
  CliToolRegistered: true,
  ManifestApplied: true,
  ManifestRejected: true,
  ManifestRemoved: true,
  ManifestProposed: true,
  ManifestProposalFailed: true,
  SessionCreated: true,
  SessionRevoked: true,
  AttestationSucceeded: true,
  AttestationFailed: true,
  ReconcileCompleted: true,
  AuditTrimmed: true,
};

function filterOptions(command: Command): Command {
  return command
    .option('--config <file>', 'gateway.yaml that names the database')
    .addOption(
      new Option('--type <event>', 'only this event type, such as ToolCallRejected').choices(
        Object.keys(EVENT_TYPES),
      ),
    )
    .option('--execution <id>', 'only this execution')
    .option('--tenant <name>', 'only this tenant')
    .option('--since <time>', 'only from this time on, such as 2026-01-31T12:00:00Z');
}

function filterOf({ type, execution, tenant, since, after, limit }: FilterOptions): EventFilter {
  return {
    event_type: type,
    execution_id: execution,
    tenant_id: tenant,
    since,
    limit: Number(limit),
    after: after === undefined ? undefined : Number(after),
  };
}

/** Shows what is there and then what comes, until `stopped` is aborted. */
async function follow(
  reader: EventReader,
  filter: EventFilter,
  show: (events: readonly PositionedEvent[]) => void,
  stopped: AbortSignal,
): Promise<void> {
  // The end of the trail comes first, so that nothing is lost between the two.
  const [newest] = await reader.query({ limit: 1 });
  const first = await reader.query(filter);
  show(first);
  let after = first.at(-1)?.position ?? newest?.position ?? 0;
  while (!stopped.aborted) {
    const next = await reader.query({ ...filter, after, limit: 1_000 });
    show(next);
    after = next.at(-1)?.position ?? after;
    if (next.length === 0) await sleep(FOLLOW_MS, undefined, { signal: stopped }).catch(() => {});
  }
}

/** Aborts when the user has seen enough. */
export function untilStopped(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

async function withReader(
  config: string | undefined,
  use: (reader: EventReader) => Promise<void>,
): Promise<void> {
  const { url } = loadConfig(config).config.database;
  let reader: EventReader;
  try {
    reader = await openReader({ url });
  } catch (error) {
    if (error instanceof StoreOpenError)
      throw new CliError(`${error.message}; --config names the configuration to read`);
    throw error;
  }
  try {
    await use(reader);
  } finally {
    await reader.close();
  }
}

function rowOf({ created_at, event_type, execution_id, payload }: PositionedEvent): string[] {
  return [created_at, event_type, execution_id ?? '-', summaryOf(payload)].map(onOneLine);
}

/** Names that callers have sent may hold line ends and the escape codes of terminals. */
function onOneLine(text: string): string {
  return text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
}

/** The facts of an event that a person looks for first. */
const FACTS = [
  'tool_name',
  'kind',
  'name',
  'step_name',
  'agent_id',
  'remote_addr',
  'method',
  'host',
  'path',
  'api_spec_id',
  'operation_id',
  'response_bytes_before_slice',
  'response_bytes_after_slice',
  'http_status',
  'code',
  'error',
  'layer',
  'reason',
  'count',
  'status',
  'duration_ms',
];

function summaryOf(payload: Readonly<Record<string, unknown>>): string {
  const facts = FACTS.filter((name) => payload[name] !== undefined && payload[name] !== null);
  return facts.map((name) => `${name}=${onOneLine(String(payload[name])).slice(0, 120)}`).join(' ');
}

function reportOf({ writers, problems, problems_left_out, events }: Verification, anchored: boolean): string {
  const heads = writers.map(
    ({ writer, events: count, head_hash }) => `writer ${writer}: ${count} events, head ${head_hash}`,
  );
  const found = problems.map(({ writer, kind, message }) => `${kind}: ${message} (writer ${writer})`);
  if (problems_left_out > 0) found.push(`and ${problems_left_out} more problems`);
  const verdict =
    problems.length === 0
      ? `${events} events verified: none was changed, removed from between, inserted or swapped${anchored ? ', and the noted heads are there' : '. Whether the end was cut off only heads noted earlier can tell (--anchors)'}`
      : `the chain is BROKEN: ${problems.length + problems_left_out} problems in ${events} events`;
  return [...heads, ...found, verdict].join('\n');
}

/** What `verify --output json` printed, or a list of {writer, seq, hash}. */
function readAnchors(file: string): Anchor[] {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Anchor[] | Verification;
    const anchors = Array.isArray(value)
      ? value
      : value.writers.map(({ writer, last_seq, head_hash }) => ({ writer, seq: last_seq, hash: head_hash }));
    const bad = anchors.findIndex(({ writer, seq, hash }) => !writer || !Number.isSafeInteger(seq) || !hash);
    if (bad !== -1) throw new Error(`entry ${bad} has not writer, seq and hash`);
    return anchors;
  } catch (error) {
    throw new CliError(
      `--anchors ${file}: expected what "audit verify --output json" printed (${(error as Error).message})`,
    );
  }
}
