/** The directory that an import writes into: what is there already, and what will be. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatDiagnostic } from '../../manifest/diagnostic.ts';
import { loadManifests, type ManifestSet } from '../../manifest/load.ts';
import { type Found, type Identity, keyOf, type Manifest, nameOf } from '../../manifest/manifest.ts';
import { rewriteManifest } from '../../manifest/rewrite.ts';
import { isManifestFile, makeTree, type Tree, treeFile } from '../../manifest/tree.ts';
import { readLocal } from '../local-side.ts';
import { CliError } from '../output.ts';
import { type Edit, editManifest } from './edit-yaml.ts';

/** What is to be changed, in memory until {@link Directory.write}. */
export interface Directory {
  /** As it was. */
  readonly set: ManifestSet;
  find(identity: Identity): Manifest | null;
  /** The files as they will be. */
  tree(): Tree;
  /** A path that nothing has, as near to the wanted one as can be. */
  freePath(wanted: string): string;
  bytesOf(path: string): Buffer | null;
  put(path: string, content: Buffer | string): void;
  /** Takes back what was put. */
  restore(path: string): void;
  edit(manifest: Manifest, edits: readonly Edit[]): void;
  remove(manifest: Manifest): void;
  /** Paths that will be written or removed, in order. */
  changed(): readonly string[];
  write(): void;
}

/** Rejects with CliError when a file there cannot be read: nobody knows what is in it. */
export async function openDirectory(dir: string): Promise<Directory> {
  const before = existsSync(dir) ? await readLocal(dir) : makeTree([], []);
  const set = await loadManifests(before);
  if (set.broken.size > 0) {
    const lines = set.diagnostics.filter(({ severity }) => severity === 'error').map(formatDiagnostic);
    throw new CliError(`${dir} has files that cannot be read; mend them first:\n  ${lines.join('\n  ')}`);
  }
  /** null: the file goes. */
  const next = new Map<string, Buffer | null>();
  const bytesOf = (path: string): Buffer | null => {
    const changed = next.get(path);
    return changed === undefined ? (before.files.get(path)?.bytes ?? null) : changed;
  };
  const textOf = (path: string): string => bytesOf(path)!.toString('utf8');
  const change = (path: string, bytes: Buffer | null): void => {
    const old = before.files.get(path)?.bytes ?? null;
    if (bytes === null ? old === null : old?.equals(bytes) === true) next.delete(path);
    else next.set(path, bytes);
  };
  return {
    set,
    find(identity) {
      const found = set.found.get(keyOf(identity));
      if (found === undefined) return null;
      if (found.manifest === null) throw new CliError(notValid(found));
      return found.manifest;
    },
    tree() {
      const files = new Map(before.files);
      for (const [path, bytes] of next) {
        if (bytes === null) files.delete(path);
        else if (isManifestFile(path)) files.set(path, treeFile(path, bytes));
      }
      return makeTree([...files.values()], []);
    },
    freePath(wanted) {
      const [stem, ending] = [wanted.replace(/\.\w+$/, ''), /\.\w+$/.exec(wanted)?.[0] ?? ''];
      let path = wanted;
      for (let count = 2; bytesOf(path) !== null; count += 1) path = `${stem}-${count}${ending}`;
      return path;
    },
    bytesOf,
    put: (path, content) => change(path, Buffer.from(content)),
    restore: (path) => void next.delete(path),
    edit: (manifest, edits) =>
      change(manifest.file, Buffer.from(edited(textOf(manifest.file), manifest, edits))),
    remove(manifest) {
      const rest = rewriteManifest(textOf(manifest.file), manifest.file, manifest, null);
      change(manifest.file, rest === null ? null : Buffer.from(rest));
    },
    changed: () => [...next.keys()].sort(),
    write() {
      for (const [path, bytes] of next) {
        const target = join(dir, path);
        if (bytes === null) rmSync(target);
        else {
          mkdirSync(dirname(target), { recursive: true });
          writeFileSync(target, bytes);
        }
      }
    },
  };
}

function notValid(found: Found): string {
  const lines = found.diagnostics.map(formatDiagnostic);
  return `${nameOf(found.identity)} is not valid; mend it first:\n  ${lines.join('\n  ')}`;
}

function edited(text: string, manifest: Manifest, edits: readonly Edit[]): string {
  try {
    return editManifest(text, manifest.file, manifest, edits);
  } catch (error) {
    throw new CliError(`${manifest.file}: ${(error as Error).message}`);
  }
}
