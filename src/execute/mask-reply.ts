/** What an upstream answered as everybody may see it: one that echoes a credential must not pass it on to the caller. */
import type { Mask } from '../credentials/mask.ts';
import { binary, type Reading } from './reply.ts';

/** Once it is read, for escapes and charsets hide a value; of what is no text the bytes themselves. */
export function maskRead(
  read: Extract<Reading, { readonly value: unknown }>,
  body: Buffer,
  mask: Mask,
): unknown {
  return read.binary === true ? binary(mask.bytes(body)) : mask.value(read.value);
}
