/**
 * What the store asks of its writer thread, as flat lists of plain values: a message of 256 units is copied
 * twice as fast so as one of nested objects (measured, docs/decisions/0003-audit-store.md).
 */
import type { AuditEvent } from '../audit/event.ts';
import { type EventRow, rowOf } from './event-row.ts';
import { SESSION_SLOTS, type SessionRow, sessionRow } from './sqlite-sessions.ts';
import type { LastGoodChange, LeaseNote, OpenFailure, ReplayClaim, Session } from './store.ts';

type Slot = string | number | null;
/** Any number of units, one after the other. */
export type Message = Slot[];

/** Asks a thread to end, after all that was sent before. */
export const CLOSE = 'close';

/** What is done as a whole or not at all. */
export type Unit =
  | { readonly kind: 'append'; readonly events: EventRow[] }
  | {
      readonly kind: 'admit';
      readonly id: string;
      readonly expires_at: number;
      readonly events: EventRow[];
    }
  | { readonly kind: 'purge'; readonly before: number; readonly limit: number }
  | {
      readonly kind: 'keep';
      readonly set: [key: string, file: string, digest: string, data: string, manifest: string][];
      readonly remove: string[];
      readonly contents: [digest: string, content: string][];
    }
  | { readonly kind: 'note_lease'; readonly lease: LeaseNote }
  | { readonly kind: 'forget_lease'; readonly lease_id: string }
  | {
      readonly kind: 'save_session';
      readonly session: SessionRow;
      readonly now: number;
      readonly events: EventRow[];
    }
  | {
      readonly kind: 'revoke_session';
      readonly execution_id: string;
      readonly now: number;
      readonly events: EventRow[];
    }
  /** Writes where the chains begin when the events created before are gone, and marks those. */
  | { readonly kind: 'mark_trim'; readonly before: number; readonly now: number }
  /** Forgets at most `limit` of the marked events. */
  | { readonly kind: 'trim'; readonly limit: number };

/** A unit's result: rows written or forgotten, 1 or 0 for a claim that was free or taken; a text is its error. */
export type Outcome = number | string;

/** What a thread says first: whether it could open the database. */
export type OpenReply =
  | { readonly kind: 'ready'; readonly warnings: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: OpenFailure; readonly message: string };

/** What the writer thread says. */
export type WriterReply =
  | OpenReply
  /** Results of the oldest units that wait, in their order. */
  | { readonly kind: 'done'; readonly outcomes: readonly Outcome[] }
  /** The oldest `count` units could not be committed. */
  | { readonly kind: 'refused'; readonly count: number; readonly message: string }
  | { readonly kind: 'closed'; readonly message: string | null };

const APPEND = 1;
const ADMIT = 2;
const PURGE = 3;
const KEEP = 4;
const NOTE_LEASE = 5;
const FORGET_LEASE = 6;
const SAVE_SESSION = 7;
const REVOKE_SESSION = 8;
const MARK_TRIM = 9;
const TRIM = 10;
const EVENT_SLOTS = 7;

export function encodeAppend(events: readonly AuditEvent[]): Message {
  const message: Message = [APPEND, events.length];
  for (const event of events) message.push(...rowOf(event));
  return message;
}

export function encodeAdmit(claim: ReplayClaim, events: readonly AuditEvent[]): Message {
  const message: Message = [ADMIT, events.length, claim.id, Math.ceil(claim.expires_at)];
  for (const event of events) message.push(...rowOf(event));
  return message;
}

/** Forgets at most `limit` of the replay ids that expired before `before`. */
export function encodePurge(before: number, limit: number): Message {
  return [PURGE, Math.floor(before), limit];
}

export function encodeKeep({ set, remove, contents }: LastGoodChange): Message {
  const message: Message = [KEEP, set.length, remove.length, contents.size];
  for (const { key, file, digest, data, manifest } of set) {
    message.push(key, file, digest, JSON.stringify(data), manifest);
  }
  message.push(...remove);
  for (const [digest, content] of contents) message.push(digest, content);
  return message;
}

export function encodeNoteLease({ lease_id, namespace, holder, in_use_until }: LeaseNote): Message {
  return [NOTE_LEASE, lease_id, namespace, holder, Math.ceil(in_use_until)];
}

export function encodeForgetLease(lease_id: string): Message {
  return [FORGET_LEASE, lease_id];
}

export function encodeSaveSession(session: Session, now: number, events: readonly AuditEvent[]): Message {
  const message: Message = [SAVE_SESSION, events.length, now, ...sessionRow(session)];
  for (const event of events) message.push(...rowOf(event));
  return message;
}

export function encodeRevokeSession(
  execution_id: string,
  now: number,
  events: readonly AuditEvent[],
): Message {
  const message: Message = [REVOKE_SESSION, events.length, now, execution_id];
  for (const event of events) message.push(...rowOf(event));
  return message;
}

export function encodeMarkTrim(before: number, now: number): Message {
  return [MARK_TRIM, before, now];
}

export function encodeTrim(limit: number): Message {
  return [TRIM, limit];
}

/** The units of a message, in order. */
export function decodeUnits(message: Message): Unit[] {
  const units: Unit[] = [];
  let at = 0;
  const take = (): Slot => message[at++] ?? null;
  const events = (count: number): EventRow[] => {
    const rows: EventRow[] = [];
    for (let i = 0; i < count; i++) {
      rows.push(message.slice(at, at + EVENT_SLOTS) as EventRow);
      at += EVENT_SLOTS;
    }
    return rows;
  };
  while (at < message.length) {
    const kind = take();
    if (kind === APPEND) {
      units.push({ kind: 'append', events: events(Number(take())) });
    } else if (kind === ADMIT) {
      const [count, id, expires_at] = [Number(take()), String(take()), Number(take())];
      units.push({ kind: 'admit', id, expires_at, events: events(count) });
    } else if (kind === KEEP) {
      const [set, remove, contents] = [Number(take()), Number(take()), Number(take())];
      const texts = (count: number): string[] => Array.from({ length: count }, () => String(take()));
      units.push({
        kind: 'keep',
        set: Array.from({ length: set }, () => texts(5) as [string, string, string, string, string]),
        remove: texts(remove),
        contents: Array.from({ length: contents }, () => texts(2) as [string, string]),
      });
    } else if (kind === NOTE_LEASE) {
      const [lease_id, namespace, holder] = [String(take()), take(), String(take())];
      const lease = { lease_id, namespace: namespace === null ? null : String(namespace), holder };
      units.push({ kind: 'note_lease', lease: { ...lease, in_use_until: Number(take()) } });
    } else if (kind === FORGET_LEASE) {
      units.push({ kind: 'forget_lease', lease_id: String(take()) });
    } else if (kind === SAVE_SESSION) {
      const [count, now] = [Number(take()), Number(take())];
      const session = message.slice(at, at + SESSION_SLOTS) as SessionRow;
      at += SESSION_SLOTS;
      units.push({ kind: 'save_session', session, now, events: events(count) });
    } else if (kind === REVOKE_SESSION) {
      const [count, now, execution_id] = [Number(take()), Number(take()), String(take())];
      units.push({ kind: 'revoke_session', execution_id, now, events: events(count) });
    } else if (kind === MARK_TRIM) {
      units.push({ kind: 'mark_trim', before: Number(take()), now: Number(take()) });
    } else if (kind === TRIM) {
      units.push({ kind: 'trim', limit: Number(take()) });
    } else {
      units.push({ kind: 'purge', before: Number(take()), limit: Number(take()) });
    }
  }
  return units;
}
