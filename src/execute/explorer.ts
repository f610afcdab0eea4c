/** Runs one exploration: a request, and of its reply only what was asked for. */
import type { Mask } from '../credentials/mask.ts';
import type { Operation } from '../openapi/operation.ts';
import type { BuiltRequest } from '../openapi/request.ts';
import type { Api, Query } from '../snapshot/snapshot.ts';
import { abortError, unlessAborted } from './abort.ts';
import { excerpt } from './excerpt.ts';
import { type Place, upstreamError } from './exchange.ts';
import { type Hints, nextPage, PROBES, type RelatedOperation } from './hints.ts';
import { type ByteReply, replyExcerpt, sendForBytes } from './rest.ts';
import { withRetry } from './retry.ts';
import { retryAfterSeconds } from './retry-after.ts';
import type { StepDeps } from './run.ts';
import type { Slicer } from './slicer.ts';

export interface ExplorerDeps extends StepDeps {
  readonly slicer: Slicer;
}

/** What is to be done; everything that the caller could have got wrong has been checked. */
export interface Exploration {
  readonly api: Api;
  readonly operation: Operation;
  /** As the caller gave them, for the next page. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly request: BuiltRequest;
  readonly fields: readonly Query[];
  /** null: no hints are wanted. */
  readonly related: readonly RelatedOperation[] | null;
}

export interface Explored {
  /** The result as JSON text. */
  readonly result_json: string;
  readonly status: number;
  readonly bytes_before: number;
  readonly bytes_after: number;
  readonly matches: number;
}

export interface ExploreOptions {
  /** The caller is gone or out of time. */
  readonly signal: AbortSignal;
  /** Milliseconds after which `signal` is aborted, so that no wait is begun that would not end before. */
  readonly timeout_ms: number;
  /** Bytes of JSON that the slices may have. */
  readonly max_bytes: number;
}

/**
 * Rejects as `sendRequest` and `Slicer.slice` do; UPSTREAM_FAILED for a status that is no 2xx, after as many attempts
 * as the API's `retry` has, and for a body that is not what it says.
 */
export async function explore(
  deps: ExplorerDeps,
  exploration: Exploration,
  { signal, timeout_ms, max_bytes }: ExploreOptions,
): Promise<Explored> {
  const { api, operation, fields, related } = exploration;
  const retry = api.retry?.methods.includes(operation.method) ? api.retry : null;
  const run = { signal, ends_at: deps.clock.monotonic() + timeout_ms };
  deps.slicer.checkRoom();
  const reply = await withRetry(deps, run, retry, () => send(deps, exploration, signal));
  const { status, headers, content_type, bytes, mask } = reply;
  const bytes_before = bytes.length;
  const body = { bytes, content_type: headers['content-type'] };
  const probes = related === null ? [] : PROBES;
  const slices = await deps.slicer.slice({ body, mask, fields, probes, max_bytes }, signal);
  if ('problem' in slices) {
    const what = `answered ${status} with ${content_type} that ${slices.problem}`;
    const details = { status, excerpt: reply.excerpt() };
    throw upstreamError('UPSTREAM_FAILED', placeOf(exploration), what, { details });
  }
  const facts = {
    bytes_before,
    bytes_after: slices.bytes,
    operation_metadata: { status, content_type },
    ...(related !== null && { hints: hintsOf(exploration, related, headers.link, slices.probed) }),
  };
  // The slices are JSON text already.
  const told = JSON.stringify(mask?.value(facts) ?? facts);
  const result_json = `{"sliced_data":${slices.json},${told.slice(1)}`;
  return { result_json, status, bytes_before, bytes_after: slices.bytes, matches: slices.matches };
}

function hintsOf(
  exploration: Exploration,
  related_operations: readonly RelatedOperation[],
  link: string | undefined,
  probed: readonly (string | number | null)[],
): Hints {
  return { next_page: nextPage(link, probed, exploration), related_operations };
}

interface GoodReply extends Omit<ByteReply, 'body'> {
  readonly bytes: Uint8Array;
  /** Of the credential that it may echo. */
  readonly mask: Mask | null;
  /** Of its beginning, which is kept when the bytes are given away. */
  excerpt(): string | null;
}

/** Bytes of an error reply that are parsed to show its beginning: some milliseconds at most. */
const MAX_PARSED = 262_144;

/** One attempt. */
async function send(deps: ExplorerDeps, exploration: Exploration, signal: AbortSignal): Promise<GoodReply> {
  const { api, operation, request } = exploration;
  if (signal.aborted) throw abortError(signal);
  const secrets = await unlessAborted(deps.credentials(api), signal);
  const { method, path } = operation;
  const { body, ...reply } = await sendForBytes(deps, api, { ...request, method, path, secrets }, { signal });
  const { status, headers, content_type } = reply;
  const mask = secrets?.mask ?? null;
  const beginning = beginningOf(body);
  const shown = () =>
    excerpt(beginning === null ? null : (mask?.text(beginning) ?? beginning), content_type, secrets);
  if (status >= 200 && status <= 299) return { ...reply, bytes: body, mask, excerpt: shown };
  const said = body.length <= MAX_PARSED ? replyExcerpt({ ...reply, body }, secrets) : shown();
  const seconds = retryAfterSeconds(headers['retry-after'], deps.clock.now());
  throw upstreamError('UPSTREAM_FAILED', placeOf(exploration), `answered ${status}`, {
    details: { status, ...(said !== null && { excerpt: said }) },
    ...(seconds !== null && { retry_after_seconds: seconds }),
  });
}

function placeOf({ api, operation: { method, path } }: Exploration): Place {
  return { method, host: api.base_url.host, path };
}

/** As text: a reply may be of megabytes, and say of itself what it likes. null: it is none. */
function beginningOf(body: Buffer): string | null {
  const text = body.subarray(0, 4_096).toString('utf8');
  return text === '' || text.includes('\0') ? null : text;
}
