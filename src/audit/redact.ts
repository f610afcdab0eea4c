/** Arguments as the audit trail may hold them: by digest, and in clear only without secrets and bounded. */
import { hash } from 'node:crypto';
import type { Json, JsonObject } from '../snapshot/snapshot.ts';

export const REDACTED = '[redacted]';
export const CUT = '[cut]';

/** Bytes of JSON that redacted arguments take at most. */
export const MAX_REDACTED_BYTES = 16_384;
const MAX_DEPTH = 32;
/** A longer string keeps its beginning only, so that one value does not crowd out the others. */
const MAX_STRING_BYTES = 4_096;
const BRACKETS = 3;
/** Kept free for the marks of every container that is open when the space is used up. */
const RESERVE = MAX_DEPTH * 64;

const SECRET_KEY =
  /passw|passphrase|passcode|pwd|secret|token|authorization|apikey|accesskey|privatekey|signingkey|encryptionkey|cookie|credential|bearer|jwt|sessionid|connectionstring|^auth$|^otp$|^pin$/;

/** Texts that carry a secret somewhere. Each pattern takes time linear in the text. */
const SECRET_TEXT = [
  // JWT and JWE: base64url parts, the first of them a JSON object. Only from the start of a run, else the time
  // would be quadratic.
  /(?<![\w-])eyJ[\w-]{5,}\.[\w-]*\./,
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY/,
  // GitHub, GitLab, Slack, Stripe, OpenAI and Anthropic, AWS, Google, npm, PyPI, Vault and OpenBao, Hugging Face.
  /\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bxox[abeoprs]-[\w-]{8,}|\bxapp-[\w-]{8,}/,
  /\b[rs]k_(?:live|test)_\w{8,}|\bsk-[\w-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bya29\.[\w-]{8,}/,
  /\bnpm_\w{30,}|\bpypi-[\w-]{16,}|\bhv[sbr]\.[\w-]{16,}|\b[sbr]\.[A-Za-z0-9]{24}\b|\bhf_\w{16,}|\bdop_v1_\w{16,}/,
  // Authorization values, user information in a URL, and name=value inside text (query strings, JSON, options).
  /\b(?:bearer|basic)\s+[\w+/~.-]{8,}/i,
  /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/?#@:]{0,256}:[^\s/?#@]{1,256}@/i,
  /(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization|private[_-]?key)["']?\s{0,8}[=:]\s{0,8}["']?[^\s"',}\]]/i,
];

/** `sha256:<hex>` and size in bytes of the canonical arguments: what the trail records of every call. */
export function digestArguments(canonical: string): { arguments_digest: string; arguments_bytes: number } {
  return {
    arguments_digest: `sha256:${hash('sha256', canonical, 'hex')}`,
    arguments_bytes: Buffer.byteLength(canonical),
  };
}

/**
 * A copy for the trail (`audit_arguments: true`): what looks like a secret, by its key or by itself, is
 * "[redacted]", and what is deeper than 32 levels or does not fit 16 KiB of JSON is cut with a mark. It would
 * rather redact too much. A value that is not an object comes back as `{value: ...}`.
 */
export function redactArguments(value: unknown): JsonObject {
  const space = { left: MAX_REDACTED_BYTES - RESERVE };
  if (isObject(value)) return redactObject(value, space, 1);
  return { value: redactValue(value, space, 1) };
}

interface Space {
  left: number;
}

function redactValue(value: unknown, space: Space, depth: number): Json {
  if (typeof value === 'string') return spend(looksSecret(value) ? REDACTED : shorten(value), space);
  if (typeof value === 'number') return spend(Number.isFinite(value) ? value : String(value), space);
  if (typeof value === 'boolean') return spend(value, space);
  if (!Array.isArray(value) && !isObject(value)) return spend(null, space);
  if (depth >= MAX_DEPTH) return spend(CUT, space);
  space.left -= BRACKETS;
  return Array.isArray(value) ? redactArray(value, space, depth + 1) : redactObject(value, space, depth + 1);
}

function redactObject(value: Record<string, unknown>, space: Space, depth: number): JsonObject {
  const entries: [string, Json][] = [];
  const keys = Object.keys(value);
  const named = namesSecret(value);
  for (const [index, key] of keys.entries()) {
    const shown = spend(looksSecret(key) ? REDACTED : shorten(key), space);
    if (shown === CUT && space.left === 0) {
      entries.push([CUT, keys.length - index]);
      break;
    }
    const item = value[key];
    const secret = secretKey(key) || (named && key.toLowerCase() === 'value');
    entries.push([
      shown,
      secret && !harmless(item) ? spend(REDACTED, space) : redactValue(item, space, depth),
    ]);
  }
  // Not by assignment: a key may be `__proto__`.
  return Object.fromEntries(entries);
}

function redactArray(items: readonly unknown[], space: Space, depth: number): Json[] {
  const result: Json[] = [];
  for (const [index, item] of items.entries()) {
    if (space.left <= 0) {
      result.push(`${CUT} ${items.length - index}`);
      break;
    }
    // An option and its value as two elements: ["--password", "..."].
    const option = items[index - 1];
    const secret = typeof option === 'string' && option.startsWith('-') && secretKey(option);
    result.push(secret && !harmless(item) ? spend(REDACTED, space) : redactValue(item, space, depth));
  }
  return result;
}

/** `{name: "Authorization", value: "..."}`: the key of the value is a value itself. */
function namesSecret(value: Record<string, unknown>): boolean {
  return ['name', 'key', 'header'].some((key) => {
    const name = Object.hasOwn(value, key) ? value[key] : undefined;
    return typeof name === 'string' && secretKey(name);
  });
}

function secretKey(key: string): boolean {
  return SECRET_KEY.test(
    key
      .slice(0, 256)
      .normalize('NFKC')
      .toLowerCase()
      .replace(/[^a-z0-9]/g, ''),
  );
}

/** Nothing can be hidden in these, whatever the key says. */
function harmless(value: unknown): boolean {
  return value === null || value === undefined || typeof value === 'boolean' || value === '';
}

function looksSecret(text: string): boolean {
  return SECRET_TEXT.some((pattern) => pattern.test(text));
}

/** The text, or as much of its beginning as {@link MAX_STRING_BYTES} of JSON hold. */
function shorten(text: string): string {
  if (text.length * 6 <= MAX_STRING_BYTES || jsonBytes(text) <= MAX_STRING_BYTES) return text;
  // A UTF-16 unit takes 6 bytes of JSON at most.
  return `${text.slice(0, MAX_STRING_BYTES / 6).toWellFormed()}${CUT}`;
}

/** Takes the room of a value; what no longer fits becomes a mark. */
function spend<T extends string | number | boolean | null>(value: T, space: Space): T | typeof CUT {
  const bytes = jsonBytes(value) + 1;
  if (bytes > space.left) {
    space.left = 0;
    return CUT;
  }
  space.left -= bytes;
  return value;
}

function jsonBytes(value: string | number | boolean | null): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
