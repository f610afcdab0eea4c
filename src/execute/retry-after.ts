/** The `Retry-After` header (RFC 9110, section 10.2.3). */

/** Upstreams that ask for more are not waited for anyway, and callers are told no number that means nothing. */
const MAX_SECONDS = 86_400;

/** The three forms of an HTTP date (section 5.6.7); the last one names no zone and is UTC like the others. */
const DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** Whole seconds from `now_ms` (Unix milliseconds) on, a day at most; null: the header is absent or says nothing. */
export function retryAfterSeconds(header: string | undefined, now_ms: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(Number(text), MAX_SECONDS);
  if (!DATES.some((form) => form.test(text))) return null;
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  if (Number.isNaN(at)) return null;
  return Math.min(Math.max(0, Math.ceil((at - now_ms) / 1000)), MAX_SECONDS);
}
