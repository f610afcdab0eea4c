/** Checks the hash chains of a trail: nothing was changed, removed, inserted or swapped. */
import { GENESIS, hashEvent } from './chain.ts';
import type { ChainedEvent } from './event.ts';

export interface WriterSummary {
  readonly writer: string;
  readonly events: number;
  /** Hash of its last event. Noted elsewhere, it proves later that the end was not cut off. */
  readonly head_hash: string;
  readonly first_seq: number;
  readonly last_seq: number;
}

export type ProblemKind =
  /** The row is not what was hashed. */
  | 'hash_mismatch'
  /** Events are missing before this one. */
  | 'gap'
  /** `prev_hash` is not the hash of the event before. */
  | 'broken_link'
  /** The number is not above that of the event before. */
  | 'out_of_order'
  /** A head noted earlier is not in the trail: its end was cut off or rewritten. */
  | 'anchor_missing';

export interface ChainProblem {
  readonly writer: string;
  readonly seq: number;
  readonly kind: ProblemKind;
  readonly message: string;
}

export interface Verification {
  readonly writers: WriterSummary[];
  /** The first {@link MAX_PROBLEMS}, in the order found. */
  readonly problems: ChainProblem[];
  /** How many more were found than are listed. */
  readonly problems_left_out: number;
  readonly events: number;
}

/** A head that was noted outside the store: `seq` and `hash` of an event that must still be there. */
export interface Anchor {
  readonly writer: string;
  readonly seq: number;
  readonly hash: string;
}

export const MAX_PROBLEMS = 1_000;

type Report = (problem: ChainProblem) => void;
/** The last event before those that are there, by writer. */
type Starts = Map<string, { readonly seq: number; readonly hash: string }>;
type Progress = { -readonly [K in keyof WriterSummary]: WriterSummary[K] };

/**
 * Reads the events once, in order of seq within each writer; memory does not grow with the trail. A chain
 * cannot know that its own end is missing: give the heads noted earlier as `anchors` to have that checked. A beginning
 * may be missing when the trail says so itself (AuditTrimmed), and then the anchors in it are not asked for.
 */
export async function verifyChain(
  events: AsyncIterable<ChainedEvent>,
  anchors: readonly Anchor[] = [],
): Promise<Verification> {
  const writers = new Map<string, Progress>();
  const open = new Map(anchors.map((anchor) => [JSON.stringify([anchor.writer, anchor.seq]), anchor]));
  const problems: ChainProblem[] = [];
  const begun: Starts = new Map();
  const trimmed: Starts = new Map();
  let found = 0;
  let count = 0;
  const report: Report = (problem) => {
    found += 1;
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };

  for await (const event of events) {
    count += 1;
    const before = writers.get(event.writer);
    checkHash(event, report);
    if (before === undefined && event.seq > 1) {
      begun.set(event.writer, { seq: event.seq - 1, hash: event.prev_hash });
    } else {
      checkLink(event, before, report);
    }
    if (open.size > 0) settleAnchor(event, open);
    if (event.event_type === 'AuditTrimmed') noteStarts(event.payload.chains, trimmed);
    writers.set(event.writer, advance(event, before));
  }
  const unexplained = [...begun].flatMap(([writer, start]) =>
    startProblem(writer, start, trimmed.get(writer)),
  );
  found += unexplained.length;
  problems.unshift(...unexplained.slice(0, MAX_PROBLEMS));
  problems.splice(MAX_PROBLEMS);
  for (const { writer, seq, hash } of open.values()) {
    const gone = trimmed.get(writer);
    if (gone !== undefined && (seq < gone.seq || hash === gone.hash)) continue;
    const message = `event ${seq} of ${writer} with hash ${hash}, noted earlier, is not in the trail`;
    report({ writer, seq, kind: 'anchor_missing', message });
  }
  return {
    writers: [...writers.values()],
    problems,
    problems_left_out: found - problems.length,
    events: count,
  };
}

function checkHash(event: ChainedEvent, report: Report): void {
  const { writer, seq, id } = event;
  if (hashEvent(event) === event.hash) return;
  report({ writer, seq, kind: 'hash_mismatch', message: `event ${seq} (${id}) is not what was hashed` });
}

function checkLink(event: ChainedEvent, before: Progress | undefined, report: Report): void {
  const { writer, seq } = event;
  const expected = (before?.last_seq ?? 0) + 1;
  if (seq > expected) {
    const missing = seq - 1 === expected ? `event ${expected} is` : `events ${expected} to ${seq - 1} are`;
    report({ writer, seq, kind: 'gap', message: `${missing} missing` });
    return;
  }
  if (seq < expected) {
    const message = before ? `event ${seq} comes after event ${before.last_seq}` : `event ${seq} is before 1`;
    report({ writer, seq, kind: 'out_of_order', message });
    return;
  }
  if (event.prev_hash !== (before?.head_hash ?? GENESIS)) {
    const message = before
      ? `event ${seq} does not follow from event ${before.last_seq} as it stands`
      : 'the first event does not start the chain';
    report({ writer, seq, kind: 'broken_link', message });
  }
}

/** Of several, the last one of a chain: it has been trimmed again since. */
function noteStarts(chains: unknown, trimmed: Starts): void {
  if (!Array.isArray(chains)) return;
  for (const { writer, seq, hash } of chains) {
    if (seq > (trimmed.get(writer)?.seq ?? 0)) trimmed.set(writer, { seq, hash });
  }
}

/** The beginning is missing: it may be, up to where the trail says; less when it was noted and not yet done. */
function startProblem(
  writer: string,
  { seq, hash }: { readonly seq: number; readonly hash: string },
  trimmed: { readonly seq: number; readonly hash: string } | undefined,
): ChainProblem[] {
  const noted =
    trimmed !== undefined && (seq < trimmed.seq || (seq === trimmed.seq && hash === trimmed.hash));
  if (noted) return [];
  const missing = seq === 1 ? 'event 1 is' : `events 1 to ${seq} are`;
  return [{ writer, seq: seq + 1, kind: 'gap', message: `${missing} missing` }];
}

function settleAnchor(event: ChainedEvent, open: Map<string, Anchor>): void {
  const key = JSON.stringify([event.writer, event.seq]);
  if (open.get(key)?.hash === event.hash) open.delete(key);
}

function advance(event: ChainedEvent, before: Progress | undefined): Progress {
  if (before === undefined) {
    const { writer, seq, hash } = event;
    return { writer, events: 1, head_hash: hash, first_seq: seq, last_seq: seq };
  }
  before.events += 1;
  before.head_hash = event.hash;
  before.last_seq = event.seq;
  return before;
}
