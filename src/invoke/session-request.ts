/** Reads what an operator asks a session to be, in the spellings of the clients in the world. */
import { decodeBase64 } from '../envelope/base64.ts';
import { importEnvelopeKey } from '../envelope/keys.ts';
import { MAX_TOKEN_LENGTH } from '../envelope/parse.ts';
import { GatewayError } from '../errors.ts';
import type { Wanted } from './establish.ts';

type Fields = { readonly [field: string]: unknown };

const MAX_TEXT = 256;
const MAX_PATTERNS = 256;
const KNOWN = [
  'execution_id',
  'agent_id',
  'sub',
  'security_context',
  'security_context_name',
  'public_key_b64',
  'security_token',
  'tenant_id',
  'expires_at',
  'allowed_tool_patterns',
];

/** Throws INVALID_ARGUMENTS that says what is wrong with which field. */
export function readProvision(value: unknown): Omit<Wanted, 'created_by'> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('send one JSON object');
  const fields = value as Fields;
  // A slip of the pen in a field that narrows must not make a session that is wider than meant.
  const unknown = Object.keys(fields).find((field) => !KNOWN.includes(field));
  if (unknown !== undefined)
    throw invalid(`${unknown.slice(0, 64)}: there is no such field; these are: ${KNOWN.join(', ')}`);
  const tenant_id = text(fields, 'tenant_id', false);
  if (tenant_id?.includes('/')) throw invalid('tenant_id: holds a slash');
  return {
    execution_id: text(fields, 'execution_id', true),
    tenant_id,
    agent_id: one(fields, 'agent_id', 'sub'),
    security_context: one(fields, 'security_context', 'security_context_name'),
    public_key: readPublicKey(fields.public_key_b64, 'public_key_b64'),
    security_token: text(fields, 'security_token', false, MAX_TOKEN_LENGTH),
    expires_at: readTime(fields.expires_at),
    allowed_tool_patterns: readPatterns(fields.allowed_tool_patterns),
    workload_id: null,
  };
}

/**
 * An Ed25519 public key of 32 bytes, in base64 (standard or URL-safe, padded or not) or hex, as base64url. Throws
 * INVALID_ARGUMENTS for anything else, and for a key that anybody could sign for.
 */
export function readPublicKey(value: unknown, field: string): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT)
    throw invalid(`${field}: expected 32 bytes in base64 or hex`);
  const bytes = /^[0-9a-fA-F]{64}$/.test(value) ? Buffer.from(value, 'hex') : decodeBase64(value);
  if (bytes === null) throw invalid(`${field}: neither base64 nor hex`);
  try {
    importEnvelopeKey(bytes);
  } catch (error) {
    throw invalid(`${field}: ${(error as Error).message}`);
  }
  return Buffer.from(bytes).toString('base64url');
}

/** A field that two kinds of clients name differently; both only with one value. */
function one(fields: Fields, name: string, other: string): string {
  const [a, b] = [text(fields, name, false), text(fields, other, false)];
  if (a !== null && b !== null && a !== b) throw invalid(`${name} and ${other} differ`);
  if (a === null && b === null) throw invalid(`${name}: missing`);
  return (a ?? b)!;
}

function text(fields: Fields, field: string, required: true, longest?: number): string;
function text(fields: Fields, field: string, required: false, longest?: number): string | null;
function text(fields: Fields, field: string, required: boolean, longest = MAX_TEXT): string | null {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === undefined || value === null) {
    if (required) throw invalid(`${field}: missing`);
    return null;
  }
  if (typeof value !== 'string' || value === '' || value.length > longest || /\p{Cc}/u.test(value))
    throw invalid(`${field}: expected a text of 1 to ${longest} characters`);
  return value;
}

/** Milliseconds since the Unix epoch, from ISO 8601 or Unix seconds. */
function readTime(value: unknown): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && value > 0 && value < 1e11) return Math.floor(value * 1000);
  const ms = typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms))
    throw invalid('expires_at: expected ISO 8601, such as 2026-01-31T12:00:00Z, or Unix seconds');
  return ms;
}

/** An empty list allows nothing; an absent one narrows nothing. */
function readPatterns(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return null;
  const good =
    Array.isArray(value) &&
    value.length <= MAX_PATTERNS &&
    value.every((one) => typeof one === 'string' && one !== '' && one.length <= MAX_TEXT);
  if (!good) throw invalid(`allowed_tool_patterns: expected a list of at most ${MAX_PATTERNS} tool patterns`);
  return value;
}

function invalid(message: string): GatewayError {
  return new GatewayError('INVALID_ARGUMENTS', message);
}
