/** Reads the one file of an archive, as engines send it (POSIX.1-2001 pax, ustar; IEEE Std 1003.1, "pax"). */

const BLOCK = 512;

/**
 * The text of the first entry, which has to be a regular file of at most `longest` bytes in UTF-8; null: it is none.
 * Entries before it that only describe it (pax headers) are passed over.
 */
export function readFirstFile(archive: Buffer, longest: number): string | null {
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const size = readOctal(archive.toString('latin1', at + 124, at + 136));
    if (size === null) return null;
    const type = archive.toString('latin1', at + 156, at + 157);
    const begins = at + BLOCK;
    if (type !== 'x' && type !== 'g') {
      const isFile = type === '0' || type === '\0';
      if (!isFile || size > longest || begins + size > archive.length) return null;
      return readUtf8(archive.subarray(begins, begins + size));
    }
    at = begins + Math.ceil(size / BLOCK) * BLOCK;
  }
  return null;
}

/** A size as digits; larger ones are written in another way, which is of no use here. */
function readOctal(field: string): number | null {
  const [, digits] = /^ *([0-7]+)[ \0]*$/.exec(field) ?? [];
  return digits === undefined ? null : Number.parseInt(digits, 8);
}

function readUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
