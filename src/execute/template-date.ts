/** Times in templates. A template has no clock: it formats the times that it is given. */
import { isoTime } from '../clock.ts';

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d{2}):?(\d{2}))?)?$/;

/** From here on a number counts milliseconds, not seconds: in seconds it is the year 5138. */
const MILLISECONDS_FROM = 1e11;

const MAX_MS = 8.64e15;

export const DATE_FORMATS = ['iso', 'date', 'unix'] as const;
export type DateFormat = (typeof DATE_FORMATS)[number];

/**
 * Milliseconds since the Unix epoch of an ISO 8601 date or time (UTC where it names no offset), or of a number
 * of seconds or, from 1e11 on, milliseconds since the epoch. null: the value is no time.
 */
export function timeOf(value: unknown): number | null {
  if (typeof value === 'string') return isoToTime(value);
  if (typeof value !== 'number') return null;
  const ms = Math.trunc(Math.abs(value) < MILLISECONDS_FROM ? value * 1000 : value);
  return Math.abs(ms) <= MAX_MS ? ms : null;
}

/** `iso`: UTC with milliseconds; `date`: the UTC day; `unix`: whole seconds, a number. */
export function formatTime(ms: number, format: DateFormat): string | number {
  if (format === 'unix') return Math.floor(ms / 1000);
  const iso = isoTime(ms);
  return format === 'iso' ? iso : iso.slice(0, iso.indexOf('T'));
}

function isoToTime(text: string): number | null {
  const parts = ISO.exec(text);
  if (parts === null) return null;
  const part = (index: number): number => Number(parts[index] ?? 0);
  const day = Date.UTC(part(1), part(2) - 1, part(3));
  // Date.UTC turns 30 February into 2 March, and the year 98 into 1998.
  const real = !Number.isNaN(day) && isoTime(day).startsWith(text.slice(0, 10));
  if (!real || part(4) > 23 || part(5) > 59 || part(6) > 59 || part(9) > 23 || part(10) > 59) return null;
  const minutes = part(4) * 60 + part(5) - (parts[8] === '-' ? -1 : 1) * (part(9) * 60 + part(10));
  const fraction = Math.trunc(Number(`0.${parts[7] ?? 0}`) * 1000);
  return day + minutes * 60_000 + part(6) * 1000 + fraction;
}
