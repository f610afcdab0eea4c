/** Remembers what files hold, so that only those that have changed are read again. */
import { type FileReading, type ReadFiles, readFiles } from '../manifest/read-file.ts';
import type { TreeFile } from '../manifest/tree.ts';

/** A reader that keeps what its last call gave, and nothing of the calls before. */
export function createReadingCache(read: ReadFiles = readFiles): ReadFiles {
  let known: ReadonlyMap<string, FileReading> = new Map();
  return async (files) => {
    const fresh = files.filter((file) => !known.has(keyOf(file)));
    const readings = await read(fresh);
    const found = new Map(fresh.map((file, index) => [keyOf(file), readings[index]!]));
    const all = files.map((file) => found.get(keyOf(file)) ?? known.get(keyOf(file))!);
    known = new Map(files.map((file, index) => [keyOf(file), all[index]!]));
    return all;
  };
}

/** Whose tenant a manifest is depends on its path, so the same content elsewhere is read anew. */
function keyOf({ path, digest }: TreeFile): string {
  return `${digest} ${path}`;
}
