/** Reads a seal/v1 envelope from its text (docs/signing.md, The envelope). Everything wrong is MALFORMED_ENVELOPE. */
import { hash } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { EXPLORE, type JsonObject } from '../snapshot/snapshot.ts';
import { decodeBase64 } from './base64.ts';
import { canonicalMessage, type KeyOrder, member, type Node, parseTokens, serialize } from './canonical.ts';
import { firstInexact } from './exact.ts';
import { parseTimestamp } from './timestamp.ts';

export type Payload =
  | {
      readonly kind: 'call';
      readonly tool: string;
      readonly arguments: JsonObject;
      /** What the result is to be cut down to; not yet checked. */
      readonly fields?: unknown;
    }
  | { readonly kind: 'list' };

/** What is asked for, whoever asks. */
export interface Asked {
  readonly payload: Payload;
  /** The id of a JSON-RPC payload, for the reply. */
  readonly request_id: string | number | null;
  /** The arguments as canonical JSON, keys by code point; `{}` for a list. */
  readonly arguments_canonical: string;
  /** JSON pointer of the first number in the arguments that a double cannot keep: it must be sent as a string. */
  readonly inexact: string | null;
}

export interface Envelope extends Asked {
  /** The JWT as sent; not yet verified. */
  readonly security_token: string;
  /** 64 bytes; not yet verified. */
  readonly signature: Uint8Array;
  /** Whole Unix seconds, as signed. */
  readonly timestamp: number;
  /** Whether the payload is the MCP form, and so its reply. */
  readonly jsonrpc: boolean;
  /**
   * The messages that the signature may cover, each made when asked for: keys by code point; by UTF-16 unit and in
   * the order sent only where they differ. All bind the same payload.
   */
  messages(): Generator<Uint8Array, void>;
  /** Hex SHA-256 of the message by code point: one value for one envelope, however it was spelt. */
  readonly digest: string;
}

/** The longest security token, in characters. */
export const MAX_TOKEN_LENGTH = 16_384;
const MAX_NAME_LENGTH = 128;
const MAX_ID_LENGTH = 256;
const SIGNATURE_BYTES = 64;
const CONTROL = /\p{Cc}/u;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A request body as text. Throws MALFORMED_ENVELOPE for bytes that are not UTF-8. */
export function decodeBody(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new GatewayError('MALFORMED_ENVELOPE', 'the body is not UTF-8', { cause });
  }
}

/** Reads and checks the shape of an envelope. Throws MALFORMED_ENVELOPE and says what is wrong where. */
export function parseEnvelope(text: string): Envelope {
  const tokens = parseTokens(text);
  const { node, outer } = unwrap(tokens.root, JSON.parse(text));
  const protocol = own(outer, 'protocol');
  if (protocol !== 'seal/v1') throw malformed('protocol', protocol, 'the string "seal/v1"');
  const security_token = readToken(own(outer, 'security_token'));
  const signature = readSignature(own(outer, 'signature'));
  const timestamp = readTimestamp(own(outer, 'timestamp'));
  const payloadNode = member(node, 'payload');
  if (payloadNode === undefined) throw malformed('payload', undefined, 'an object');
  const { payload, request_id, jsonrpc, bare } = readPayload(own(outer, 'payload'));
  const argumentsNode = bare
    ? payloadNode
    : member(jsonrpc ? member(payloadNode, 'params') : payloadNode, 'arguments');
  const hasArguments = payload.kind === 'call' && argumentsNode !== undefined;
  const message = (order: KeyOrder) => canonicalMessage(payloadNode, security_token, timestamp, order);
  const canonical = message('code_point');
  return {
    security_token,
    signature,
    timestamp,
    payload,
    request_id,
    jsonrpc,
    messages: () => readings(canonical, message, tokens.wide_keys),
    digest: hash('sha256', canonical, 'hex'),
    arguments_canonical: hasArguments ? serialize(argumentsNode, 'code_point') : '{}',
    inexact: hasArguments && tokens.risky_numbers ? firstInexact(argumentsNode) : null,
  };
}

/**
 * Reads the explorer's arguments as an operator sends them, without an envelope. Throws MALFORMED_ENVELOPE for what is
 * none or no JSON object.
 */
export function parseExplore(text: string): Asked {
  const tokens = parseTokens(text);
  const value: unknown = JSON.parse(text);
  if (!isExplore(value)) {
    const message = 'expected {"api_spec_id", "operation_id", "parameters", "fields"} without an envelope';
    throw new GatewayError('MALFORMED_ENVELOPE', message);
  }
  return {
    payload: { kind: 'call', tool: EXPLORE, arguments: value as JsonObject },
    request_id: null,
    arguments_canonical: serialize(tokens.root, 'code_point'),
    inexact: tokens.risky_numbers ? firstInexact(tokens.root) : null,
  };
}

function* readings(
  canonical: string,
  message: (order: KeyOrder) => string,
  wide: boolean,
): Generator<Uint8Array, void> {
  yield Buffer.from(canonical, 'utf8');
  const utf16 = wide ? message('utf16') : canonical;
  if (utf16 !== canonical) yield Buffer.from(utf16, 'utf8');
  const sent = message('sent');
  if (sent !== canonical && sent !== utf16) yield Buffer.from(sent, 'utf8');
}

type Fields = { readonly [key: string]: unknown };

/** The envelope itself, out of the `{"envelope": {...}}` that some clients send around it. */
function unwrap(root: Node, value: unknown): { node: Node; outer: Fields } {
  if (!isObject(value)) throw malformed('envelope', value, 'an object');
  const inner = own(value, 'envelope');
  const node = member(root, 'envelope');
  if (node === undefined || Object.hasOwn(value, 'protocol')) return { node: root, outer: value };
  if (!isObject(inner)) throw malformed('envelope', inner, 'an object');
  return { node, outer: inner };
}

function readToken(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw malformed('security_token', value, 'a JWT');
  if (value.length > MAX_TOKEN_LENGTH) {
    throw new GatewayError(
      'MALFORMED_ENVELOPE',
      `security_token: ${value.length} characters, at most ${MAX_TOKEN_LENGTH} allowed`,
    );
  }
  return value;
}

function readSignature(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw malformed('signature', value, 'a base64 string');
  const bytes = decodeBase64(value);
  if (bytes === null) {
    throw new GatewayError('MALFORMED_ENVELOPE', 'signature: not strict base64 (standard or URL-safe)');
  }
  if (bytes.length !== SIGNATURE_BYTES) {
    throw new GatewayError(
      'MALFORMED_ENVELOPE',
      `signature: ${bytes.length} bytes after base64 decoding, expected ${SIGNATURE_BYTES}`,
    );
  }
  return bytes;
}

function readTimestamp(value: unknown): number {
  const seconds = parseTimestamp(value);
  if (seconds !== null) return seconds;
  throw malformed('timestamp', value, 'ISO 8601 with "Z" or an offset, or Unix seconds as a number');
}

interface Call {
  readonly payload: Payload;
  readonly request_id: string | number | null;
  readonly jsonrpc: boolean;
  /** The payload is the arguments of the explorer, and nothing else. */
  readonly bare: boolean;
}

function readPayload(payload: unknown): Call {
  if (!isObject(payload)) throw malformed('payload', payload, 'an object');
  const mcp = Object.hasOwn(payload, 'jsonrpc') || Object.hasOwn(payload, 'method');
  const short = Object.hasOwn(payload, 'tool');
  const own = { request_id: null, jsonrpc: false };
  if (!mcp && !short && isExplore(payload)) {
    const call = { kind: 'call', tool: EXPLORE, arguments: payload as JsonObject } as const;
    return { ...own, payload: call, bare: true };
  }
  if (mcp === short) {
    throw new GatewayError(
      'MALFORMED_ENVELOPE',
      mcp
        ? 'payload: both "method" and "tool"; send one form'
        : 'payload: neither an MCP tools/call nor {"tool", "arguments"}',
    );
  }
  if (short) return { ...own, payload: readCall(payload, 'tool', 'payload'), bare: false };
  return { ...readMcp(payload), bare: false };
}

/** The short form of an exploration. */
function isExplore(payload: unknown): payload is Fields {
  return isObject(payload) && Object.hasOwn(payload, 'api_spec_id') && !Object.hasOwn(payload, 'protocol');
}

function readMcp(payload: Fields): Omit<Call, 'bare'> {
  const version = own(payload, 'jsonrpc');
  if (version !== '2.0') throw malformed('payload.jsonrpc', version, 'the string "2.0"');
  const request_id = readId(own(payload, 'id'));
  const method = own(payload, 'method');
  if (method === 'tools/list') return { payload: { kind: 'list' }, request_id, jsonrpc: true };
  if (method !== 'tools/call') throw malformed('payload.method', method, '"tools/call" or "tools/list"');
  const params = own(payload, 'params');
  if (!isObject(params)) throw malformed('payload.params', params, 'an object');
  return { payload: readCall(params, 'name', 'payload.params'), request_id, jsonrpc: true };
}

function readCall(fields: Fields, nameField: string, where: string): Payload {
  const tool = own(fields, nameField);
  if (typeof tool !== 'string' || tool === '' || tool.length > MAX_NAME_LENGTH || CONTROL.test(tool)) {
    throw malformed(
      `${where}.${nameField}`,
      tool,
      `1 to ${MAX_NAME_LENGTH} characters, no control characters`,
    );
  }
  const args = Object.hasOwn(fields, 'arguments') ? own(fields, 'arguments') : {};
  if (!isObject(args)) throw malformed(`${where}.arguments`, args, 'an object');
  const call = { kind: 'call', tool, arguments: args as JsonObject } as const;
  return Object.hasOwn(fields, 'fields') ? { ...call, fields: own(fields, 'fields') } : call;
}

function readId(value: unknown): string | number | null {
  if (value === undefined || value === null || typeof value === 'number') return value ?? null;
  if (typeof value === 'string' && value.length <= MAX_ID_LENGTH) return value;
  throw malformed('payload.id', value, `a string of at most ${MAX_ID_LENGTH} characters, a number or null`);
}

/** An own property, so that nothing inherited counts. */
function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Says which kind of value was found, never the value: it may be a secret put into the wrong field. */
function malformed(where: string, found: unknown, expected: string): GatewayError {
  const kind =
    found === undefined
      ? 'missing'
      : found === null
        ? 'null'
        : Array.isArray(found)
          ? 'an array'
          : typeof found === 'object'
            ? 'an object'
            : `a ${typeof found}`;
  return new GatewayError(
    'MALFORMED_ENVELOPE',
    kind === 'missing'
      ? `${where}: missing, expected ${expected}`
      : `${where}: found ${kind} that does not fit, expected ${expected}`,
  );
}
