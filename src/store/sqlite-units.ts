/**
 * What the store asks of its writer thread, as flat lists of plain values: a message of 256 units is copied
 * twice as fast so as one of nested objects (measured, docs/decisions/0003-audit-store.md).
 */
import type { AuditEvent } from '../audit/event.ts';
import type { LastGoodChange, LeaseNote, OpenFailure, ReplayClaim, Session } from './store.ts';

type Slot = string | number | null;
/** Any number of units, one after the other. */
export type Message = Slot[];

/** Asks a thread to end, after all that was sent before. */
export const CLOSE = 'close';

/** An event before it is linked: id, event_type, execution_id, tenant_id, revision, payload, created_at. */
export type EventRow = [string, string, string | null, string | null, string | null, string, string];

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
  | { readonly kind: 'put_session'; readonly session: Session; readonly events: EventRow[] }
  | {
      readonly kind: 'revoke_session';
      readonly execution_id: string;
      readonly revoked_at: number;
      readonly events: EventRow[];
    }
  | { readonly kind: 'purge_sessions'; readonly before: number; readonly limit: number };

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
const PUT_SESSION = 7;
const REVOKE_SESSION = 8;
const PURGE_SESSIONS = 9;
const EVENT_SLOTS = 7;

export function encodeAppend(events: readonly AuditEvent[]): Message {
  const message: Message = [APPEND, events.length];
  for (const event of events) encodeEvent(event, message);
  return message;
}

export function encodeAdmit(claim: ReplayClaim, events: readonly AuditEvent[]): Message {
  const message: Message = [ADMIT, events.length, claim.id, Math.ceil(claim.expires_at)];
  for (const event of events) encodeEvent(event, message);
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

export function encodePutSession(session: Session, events: readonly AuditEvent[]): Message {
  const message: Message = [PUT_SESSION, events.length, JSON.stringify(session).toWellFormed()];
  for (const event of events) encodeEvent(event, message);
  return message;
}

export function encodeRevokeSession(
  execution_id: string,
  revoked_at: number,
  events: readonly AuditEvent[],
): Message {
  const message: Message = [REVOKE_SESSION, events.length, execution_id, Math.floor(revoked_at)];
  for (const event of events) encodeEvent(event, message);
  return message;
}

/** Forgets at most `limit` of the sessions that expired before `before`. */
export function encodePurgeSessions(before: number, limit: number): Message {
  return [PURGE_SESSIONS, Math.floor(before), limit];
}

/** Throws a TypeError for a payload that JSON cannot hold. */
function encodeEvent(event: AuditEvent, message: Message): void {
  const payload = JSON.stringify(event.payload);
  if (payload === undefined) throw new TypeError('the payload of an event is not JSON');
  message.push(
    wellFormed(event.id),
    wellFormed(event.event_type),
    wellFormed(event.execution_id),
    wellFormed(event.tenant_id),
    wellFormed(event.revision),
    payload,
    wellFormed(event.created_at),
  );
}

/** A lone surrogate has no UTF-8: what is hashed must be what the database gives back. */
function wellFormed<T extends string | null>(text: T): T | string {
  return text === null ? text : text.toWellFormed();
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
    } else if (kind === PUT_SESSION) {
      const [count, session] = [Number(take()), JSON.parse(String(take())) as Session];
      units.push({ kind: 'put_session', session, events: events(count) });
    } else if (kind === REVOKE_SESSION) {
      const [count, execution_id, revoked_at] = [Number(take()), String(take()), Number(take())];
      units.push({ kind: 'revoke_session', execution_id, revoked_at, events: events(count) });
    } else if (kind === PURGE_SESSIONS) {
      units.push({ kind: 'purge_sessions', before: Number(take()), limit: Number(take()) });
    } else {
      units.push({ kind: 'purge', before: Number(take()), limit: Number(take()) });
    }
  }
  return units;
}
