/** Directories of manifests on the real file system. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Text by path. */
export type Files = Readonly<Record<string, string>>;

/** A directory that is removed after the test. */
export function directory(files: Files = {}): string {
  const top = mkdtempSync(join(tmpdir(), 'seal-manifests-'));
  onTestFinished(() => rmSync(top, { recursive: true, force: true }));
  put(top, files);
  return top;
}

/** Writes files, with the directories that they are in. */
export function put(top: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), text);
  }
}

/** Writes a file as editors do: beside it, then in its place. */
export function save(top: string, path: string, text: string): void {
  writeFileSync(join(top, `${path}.swp`), text);
  renameSync(join(top, `${path}.swp`), join(top, path));
}
