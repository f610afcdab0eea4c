/** Slices of a reply: what each JSONPath expression matches, as JSON, within limits (docs/decisions/0011-explorer.md). */

import type { Mask } from '../credentials/mask.ts';
import { GatewayError } from '../errors.ts';
import type { Allowance, Query } from '../snapshot/snapshot.ts';
import { maskRead } from './mask-reply.ts';
import { readBody } from './reply.ts';

/** Of all expressions of a call together. */
export interface SliceLimits {
  /** Nodes that the evaluation visits; a single expression has a limit of its own besides (`jsonpath-walk.ts`). */
  readonly visits: number;
  readonly matches: number;
  /** Of the slices as JSON. */
  readonly bytes: number;
}

/** The most that any call may use; its own limit of bytes may be smaller. */
export const MOST: SliceLimits = { visits: 2_000_000, matches: 500_000, bytes: 10 * 1024 * 1024 };

/** A body that is to be sliced. */
export interface Body {
  readonly bytes: Uint8Array;
  /** The header, with its charset. */
  readonly content_type: string | undefined;
}

export interface Slices {
  /** A JSON object: expression -> list of what it matches. */
  readonly json: string;
  /** Of `json` in UTF-8. */
  readonly bytes: number;
  readonly matches: number;
  /** The first text or number that each probe matches. */
  readonly probed: readonly (string | number | null)[];
}

/** Why a body cannot be read. */
export interface Unreadable {
  readonly problem: string;
}

/** Longer texts lead to no next page. */
const MAX_PROBED_LENGTH = 2_048;

/**
 * What `mask` knows is masked before anything is selected: a filter could else find out by comparing what no slice
 * may show. Throws INVALID_ARGUMENTS or RESPONSE_TOO_LARGE when a limit is passed.
 */
export function sliceBody(
  body: Body,
  mask: Mask | null,
  fields: readonly Query[],
  probes: readonly Query[],
  limits: SliceLimits,
): Slices | Unreadable {
  const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
  const read = readBody(bytes, body.content_type);
  if ('problem' in read) return { problem: read.problem };
  const value = mask === null ? read.value : maskRead(read, bytes, mask);
  const slices = sliceValue(value, fields, limits);
  return { ...slices, probed: probes.map((probe) => probed(probe, value)) };
}

function sliceValue(value: unknown, fields: readonly Query[], limits: SliceLimits): Omit<Slices, 'probed'> {
  const allowance: Allowance = { visits: limits.visits };
  const parts: string[] = [];
  let length = 0;
  let matches = 0;
  for (const field of fields) {
    const matched = select(field, value, allowance, limits);
    matches += matched.length;
    if (matches > limits.matches) {
      const message = `the fields match more than ${limits.matches} values; name more of the paths`;
      throw new GatewayError('INVALID_ARGUMENTS', message, { details: { limit: limits.matches } });
    }
    // One by one: a node is written again for each of its ancestors that is matched too, which may come to any size.
    const texts: string[] = [];
    for (const one of matched) {
      const text = JSON.stringify(one) ?? 'null';
      length += text.length;
      if (length > limits.bytes) throw tooLarge(limits.bytes);
      texts.push(text);
    }
    parts.push(`${JSON.stringify(field.text)}:[${texts.join(',')}]`);
  }
  const json = `{${parts.join(',')}}`;
  const bytes = Buffer.byteLength(json);
  if (bytes > limits.bytes) throw tooLarge(limits.bytes);
  return { json, bytes, matches };
}

function select(
  field: Query,
  value: unknown,
  allowance: Allowance,
  { visits }: SliceLimits,
): readonly unknown[] {
  try {
    return field.select(value, allowance);
  } catch (error) {
    if (!(error instanceof GatewayError) || allowance.visits >= 0) throw error;
    const message = `all fields together visit more than ${visits} nodes; name more of the paths`;
    throw new GatewayError('INVALID_ARGUMENTS', message, { details: { limit: visits } });
  }
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError('RESPONSE_TOO_LARGE', `the slices have more than ${limit} bytes`, {
    details: { limit_bytes: limit },
  });
}

function probed(probe: Query, value: unknown): string | number | null {
  const [found] = probe.select(value);
  if (typeof found === 'number') return found;
  return typeof found === 'string' && found !== '' && found.length <= MAX_PROBED_LENGTH ? found : null;
}
