/** Directories of manifests on the real file system. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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

/** Mounts files as Kubernetes mounts a ConfigMap: real files in a directory of this time, links, and one swap. */
export function configMap(top: string, time: string, files: Files): void {
  put(join(top, `..${time}`), files);
  rmSync(join(top, '..data_tmp'), { force: true });
  symlinkSync(`..${time}`, join(top, '..data_tmp'));
  renameSync(join(top, '..data_tmp'), join(top, '..data'));
  const names = new Set(Object.keys(files).map((path) => path.split('/')[0]!));
  for (const name of names) {
    if (!existsSync(join(top, name))) symlinkSync(`..data/${name}`, join(top, name));
  }
  for (const name of readdirSync(top)) {
    if (name.startsWith('..2') && name !== `..${time}`) rmSync(join(top, name), { recursive: true });
    if (!name.startsWith('.') && !names.has(name)) rmSync(join(top, name));
  }
}
