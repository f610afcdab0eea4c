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
type Progress = { -readonly [K in keyof WriterSummary]: WriterSummary[K] };

/**
 * Reads the events once, in order of seq within each writer; memory does not grow with the trail. A chain
 * cannot know that its own end is missing: give the heads noted earlier as `anchors` to have that checked.
 */
export async function verifyChain(
  events: AsyncIterable<ChainedEvent>,
  anchors: readonly Anchor[] = [],
): Promise<Verification> {
  const writers = new Map<string, Progress>();
  const open = new Map(anchors.map((anchor) => [JSON.stringify([anchor.writer, anchor.seq]), anchor]));
  const problems: ChainProblem[] = [];
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
    checkLink(event, before, report);
    if (open.size > 0) settleAnchor(event, open);
    writers.set(event.writer, advance(event, before));
  }
  for (const { writer, seq, hash } of open.values()) {
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
