/**
 * Lists of texts as Postgres takes them in binary. As text they would be quoted here and parsed there: for 500 events
 * twice the CPU here, and three times as long in all (docs/decisions/0015-postgres.md).
 */

const TEXT_OID = 25;
const HEADER_BYTES = 20;

/** A parameter of type `text[]`. */
export function textArray(values: readonly (string | null)[]): Buffer {
  let size = HEADER_BYTES + 4 * values.length;
  for (const value of values) if (value !== null) size += Buffer.byteLength(value);
  const buffer = Buffer.allocUnsafe(size);
  if (values.length === 0) return emptyArray(buffer);
  buffer.writeInt32BE(1, 0); // dimensions
  buffer.writeInt32BE(1, 4); // may hold null
  buffer.writeInt32BE(TEXT_OID, 8);
  buffer.writeInt32BE(values.length, 12);
  buffer.writeInt32BE(1, 16); // index of the first
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
    } else {
      const bytes = buffer.write(value, at + 4);
      at = buffer.writeInt32BE(bytes, at) + bytes;
    }
  }
  return buffer;
}

/** Without a dimension. */
function emptyArray(buffer: Buffer): Buffer {
  buffer.writeInt32BE(0, 0);
  buffer.writeInt32BE(0, 4);
  buffer.writeInt32BE(TEXT_OID, 8);
  return buffer.subarray(0, 12);
}

/** A parameter that is a list of whole numbers. */
export function numberArray(values: readonly number[]): string {
  return `{${values.join(',')}}`;
}
