/** The timestamp of an envelope: ISO 8601 or Unix seconds, signed as whole Unix seconds. */

const ISO = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:(Z)|([+-])(\d{2}):?(\d{2}))$/;
const DAY_MS = 86_400_000;
/** 9999-12-31T23:59:59Z: a larger number is not in seconds. */
const MAX_SECONDS = 253_402_300_799;

/**
 * Whole Unix seconds (floor) of a number of seconds, or of an ISO 8601 date and time with `Z` or an offset.
 * Null for anything else: a numeric string, a time without a zone, a day that does not exist.
 */
export function parseTimestamp(value: unknown): number | null {
  const seconds =
    typeof value === 'number' ? Math.floor(value) : typeof value === 'string' ? parseIso(value) : null;
  return seconds !== null && seconds >= 0 && seconds <= MAX_SECONDS ? seconds : null;
}

function parseIso(text: string): number | null {
  const match = ISO.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [, , , , , , , , sign, offsetHour = '0', offsetMinute = '0'] = match;
  // Date.UTC reads the years 0 to 99 as 1900 to 1999.
  if (year < 1970 || month < 1 || month > 12 || day < 1) return null;
  const days = (Date.UTC(year, month, 1) - Date.UTC(year, month - 1, 1)) / DAY_MS;
  if (day > days || hour > 23 || minute > 59 || second > 59) return null;
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) return null;
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60 * (sign === '-' ? -1 : 1);
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - offset;
}
