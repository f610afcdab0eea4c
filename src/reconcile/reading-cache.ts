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
    const readings = files.map(({ path, digest }) => {
      const one = known.get(path);
      return one?.digest === digest ? one.reading : null;
    });
    const fresh = await read(files.filter((_, index) => readings[index] === null));
    const rest = fresh.values();
    const all = readings.map((reading) => reading ?? rest.next().value!);
    known = new Map(files.map(({ path, digest }, index) => [path, { digest, reading: all[index]! }]));
    return all;
  };
}
