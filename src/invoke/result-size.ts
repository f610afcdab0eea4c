/** `max_response_size` of a capability: what is returned, whatever it was made of. */
import { GatewayError } from '../errors.ts';
import { MOST } from '../execute/slice.ts';
import type { Capability } from '../snapshot/snapshot.ts';

/** The bytes of a result. Throws RESPONSE_TOO_LARGE when the capability allows fewer. */
export function checkSize(
  tool: string,
  result_json: string,
  { max_response_size: limit }: Capability,
): number {
  const bytes = Buffer.byteLength(result_json);
  if (limit !== null && bytes > limit) {
    throw new GatewayError(
      'RESPONSE_TOO_LARGE',
      `the result of ${tool} has ${bytes} bytes; the security context allows ${limit}`,
      { details: { bytes, limit } },
    );
  }
  return bytes;
}

/** The bytes that slices may have: what is more could not be returned. */
export function sliceLimit({ max_response_size }: Capability): number {
  return Math.min(max_response_size ?? MOST.bytes, MOST.bytes);
}
