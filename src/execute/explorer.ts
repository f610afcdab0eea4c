/** Runs one exploration: a request, and of its reply only what was asked for. */
import type { Operation } from '../openapi/operation.ts';
import type { BuiltRequest } from '../openapi/request.ts';
import type { Api, Query } from '../snapshot/snapshot.ts';
import { abortError, type Place, upstreamError } from './exchange.ts';
import { type Hints, nextPage, PROBES, type RelatedOperation } from './hints.ts';
import { excerpt } from './reply.ts';
import { type ByteReply, sendForBytes } from './rest.ts';
import type { Slicer } from './slicer.ts';
import type { StepDeps } from './step.ts';

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
  /** The result as JSON text (protocol section 5). */
  readonly result_json: string;
  readonly status: number;
  readonly bytes_before: number;
  readonly bytes_after: number;
  readonly matches: number;
}

export interface ExploreOptions {
  /** The caller is gone or out of time. */
  readonly signal: AbortSignal;
  /** Bytes of JSON that the slices may have. */
  readonly max_bytes: number;
}

/**
 * Rejects as `sendRequest` and `Slicer.slice` do; UPSTREAM_FAILED for a status that is no 2xx and for a body that is
 * not what it says.
 */
export async function explore(
  deps: ExplorerDeps,
  exploration: Exploration,
  { signal, max_bytes }: ExploreOptions,
): Promise<Explored> {
  const { fields, related } = exploration;
  deps.slicer.checkRoom();
  const reply = await send(deps, exploration, signal);
  const { status, headers, content_type, body } = reply;
  const place = placeOf(exploration);
  if (status < 200 || status > 299) {
    throw upstreamError('UPSTREAM_FAILED', place, `answered ${status}`, {
      details: { status, excerpt: beginningOf(reply) },
    });
  }
  const bytes_before = body.length;
  const slices = await deps.slicer.slice(
    {
      body: { bytes: body, content_type: headers['content-type'] },
      fields,
      probes: related === null ? [] : PROBES,
      max_bytes,
    },
    signal,
  );
  if ('problem' in slices) {
    throw upstreamError(
      'UPSTREAM_FAILED',
      place,
      `answered ${status} with ${content_type} that ${slices.problem}`,
      { details: { status, excerpt: slices.excerpt } },
    );
  }
  const facts = {
    bytes_before,
    bytes_after: slices.bytes,
    operation_metadata: { status, content_type },
    ...(related !== null && { hints: hintsOf(exploration, related, headers.link, slices.probed) }),
  };
  // The slices are JSON text already.
  const result_json = `{"sliced_data":${slices.json},${JSON.stringify(facts).slice(1)}`;
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

async function send(
  deps: ExplorerDeps,
  { api, operation, request }: Exploration,
  signal: AbortSignal,
): Promise<ByteReply> {
  const secrets = await deps.credentials(api);
  if (signal.aborted) throw abortError(signal);
  const { method, path } = operation;
  return sendForBytes(deps, api, { ...request, method, path, secrets }, { signal });
}

function placeOf({ api, operation: { method, path } }: Exploration): Place {
  return { method, host: api.base_url.host, path };
}

/** Of an error reply, which may be as large as any other. */
function beginningOf({ body, content_type }: ByteReply): string | null {
  const text = body.subarray(0, 4_096).toString('utf8');
  return body.length === 0 || text.includes('\0') ? null : excerpt(text, content_type);
}
