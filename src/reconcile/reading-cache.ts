/** Remembers what files hold, so that only those that have changed are read again. */
import { type FileReading, type ReadFiles, readFiles } from '../manifest/read-file.ts';

interface Known {
  readonly digest: string;
  readonly reading: FileReading;
}

/** A reader that keeps what its last call gave, and nothing of the calls before. */
export function createReadingCache(read: ReadFiles = readFiles): ReadFiles {
  let known: ReadonlyMap<string, Known> = new Map();
  return async (files) => {
    // By path: whose tenant a manifest is depends on it, so the same content elsewhere is read anew.
    const entries = files.map(({ path, digest }) => {
      const one = known.get(path);
      return one?.digest === digest ? one : null;
    });
    const fresh = (await read(files.filter((_, index) => entries[index] === null))).values();
    const next = new Map<string, Known>();
    for (const [index, { path, digest }] of files.entries())
      next.set(path, entries[index] ?? { digest, reading: fresh.next().value! });
    known = next;
    return files.map(({ path }) => next.get(path)!.reading);
  };
}
