/** Brings a tree onto the disk in the ways in which directories of manifests change: each leaves it whole. */
import { spawnSync } from 'node:child_process';
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
import type { Random } from './random.ts';
import { bytesOf, type Entry, type Tree } from './tree.ts';

export interface Disk {
  readonly root: string;
  /** Makes the root hold this tree; null: takes it away. Returns how. */
  show(tree: Tree | null, random: Random): string;
  /** The commit that the link of git-sync names; null: the root is no such link. */
  commit(): string | null;
  remove(): void;
}

type Layout = 'gone' | 'directory' | 'ConfigMap' | 'git-sync';

/** A root that does not exist yet, in a directory of its own. */
export function createDisk(): Disk {
  const top = mkdtempSync(join(tmpdir(), 'seal-chaos-'));
  const root = join(top, 'root');
  let layout: Layout = 'gone';
  let shown: Tree = new Map();
  let commit: string | null = null;
  let count = 0;

  /** A fresh name beside the root, of the same file system. */
  const beside = (): string => {
    count += 1;
    return join(top, `made-${count}`);
  };

  const clear = (): void => {
    // Moved away first, as a root that vanishes does so at once.
    if (layout !== 'gone') {
      const away = beside();
      renameSync(root, away);
      rmSync(away, { recursive: true });
    }
    layout = 'gone';
    commit = null;
  };

  const showDirectory = (tree: Tree): void => {
    const made = beside();
    writeAll(made, tree);
    clear();
    renameSync(made, root);
    layout = 'directory';
  };

  const showConfigMap = (tree: Tree): void => {
    if (layout !== 'ConfigMap') clear();
    mkdirSync(root, { recursive: true });
    count += 1;
    writeAll(join(root, `..2026_${count}`), tree);
    symlinkSync(`..2026_${count}`, join(root, '..data_tmp'));
    renameSync(join(root, '..data_tmp'), join(root, '..data'));
    const names = new Set([...tree.keys()].map((path) => path.split('/')[0]!));
    for (const name of names) if (!existsLink(root, name)) symlinkSync(`..data/${name}`, join(root, name));
    for (const name of readdirSync(root)) {
      const old = name.startsWith('..2026_') && name !== `..2026_${count}`;
      if (old || (!name.startsWith('..') && !names.has(name))) rmSync(join(root, name), { recursive: true });
    }
    layout = 'ConfigMap';
  };

  const showGitSync = (tree: Tree): void => {
    count += 1;
    const id = count.toString(16).padStart(40, '0');
    writeAll(join(top, '.worktrees', id), tree);
    if (layout !== 'git-sync') clear();
    symlinkSync(join('.worktrees', id), join(top, 'link'));
    renameSync(join(top, 'link'), root);
    for (const name of readdirSync(join(top, '.worktrees')))
      if (name !== id) rmSync(join(top, '.worktrees', name), { recursive: true });
    layout = 'git-sync';
    commit = id;
  };

  /** In the directory that is there: only what differs, written over, or beside and then in its place. */
  const edit = (tree: Tree, save: boolean): void => {
    for (const [path, entry] of shown) {
      if (JSON.stringify(entry) === JSON.stringify(tree.get(path))) continue;
      const next = tree.get(path);
      const over = next !== undefined && bytesOf(next) !== null && bytesOf(entry) !== null;
      if (!over) rmSync(join(root, path), { recursive: true });
    }
    // A directory that holds nothing may stand where a link is to be.
    for (const path of shown.keys()) removeEmpty(root, dirname(path));
    for (const [path, entry] of tree) {
      if (JSON.stringify(entry) === JSON.stringify(shown.get(path))) continue;
      const target = join(root, path);
      const bytes = bytesOf(entry);
      mkdirSync(dirname(target), { recursive: true });
      if (!save || bytes === null) {
        write(target, entry);
      } else {
        writeFileSync(`${target}.swp`, bytes);
        renameSync(`${target}.swp`, target);
      }
    }
  };

  return {
    root,
    show(tree, random) {
      if (tree === null) {
        clear();
        return 'gone';
      }
      const inPlace = layout === 'directory' && !random.oneIn(6);
      const how = inPlace
        ? random.pick(['written over', 'saved'])
        : random.pick(['directory', 'ConfigMap', 'git-sync']);
      if (inPlace) edit(tree, how === 'saved');
      else if (how === 'directory') showDirectory(tree);
      else if (how === 'ConfigMap') showConfigMap(tree);
      else showGitSync(tree);
      shown = tree;
      return how;
    },
    commit: () => commit,
    remove: () => rmSync(top, { recursive: true, force: true }),
  };
}

function writeAll(top: string, tree: Tree): void {
  mkdirSync(top, { recursive: true });
  for (const [path, entry] of tree) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    write(join(top, path), entry);
  }
}

function write(target: string, entry: Entry): void {
  const bytes = bytesOf(entry);
  if (bytes !== null) writeFileSync(target, bytes);
  else if (entry.is === 'directory') mkdirSync(target);
  else if (entry.is === 'refused' && entry.what === 'leads-out') symlinkSync('/usr', target);
  else if (entry.is === 'refused' && entry.what === 'leads-nowhere') symlinkSync('gone.yaml', target);
  else spawnSync('mkfifo', [target]);
}

function existsLink(top: string, name: string): boolean {
  return readdirSync(top).includes(name);
}

function removeEmpty(root: string, path: string): void {
  if (path === '.' || !existsSync(join(root, path))) return;
  if (readdirSync(join(root, path)).length > 0) return;
  rmSync(join(root, path), { recursive: true });
  removeEmpty(root, dirname(path));
}
