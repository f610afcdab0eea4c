/**
 * Notices that the directory may have changed. Events are hints: they only ask for a scan. Watched are the directories
 * that the last scan read; the parents of the root and of every link on the way to it, so that a swap of a link or of
 * the root itself is seen; and the place where git notes which commit a checkout is at, which it does after it has
 * written the files (docs/decisions/0019-watching.md).
 */
import {
  existsSync,
  type FSWatcher,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  watch,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Log } from '../log.ts';
import type { Tree } from '../manifest/tree.ts';

export interface Watcher {
  /** False: the system gives no events (its limits are used up), and scans must do. */
  readonly seesEvents: boolean;
  /** Watches what a scan has read, and looks again where the root really is. Never throws. */
  follow(directories: Tree['directories']): void;
  close(): void;
}

const MAX_LINKS = 40;

/** A directory to watch. */
interface Wanted {
  readonly path: string;
  /** Whether a change of the entry of this name may be one of the manifests. */
  counts(name: string): boolean;
}

/** Watches `root`, which need not be there yet; calls `changed` for every hint. */
export function watchTree(root: string, changed: () => void, log: Log): Watcher {
  const watchers = new Map<string, FSWatcher>();
  let blind = false;
  let told = false;
  let closed = false;

  const cannotWatch = (error: unknown): void => {
    const { code } = error as NodeJS.ErrnoException;
    // What has just gone is no fault of the system.
    if (closed || code === 'ENOENT') return;
    blind = true;
    if (told) return;
    told = true;
    log.warn({ code, err: error }, 'file events are not to be had here; the directory is scanned instead');
  };

  const forget = (key: string): void => {
    watchers.get(key)?.close();
    watchers.delete(key);
  };

  /** Whether it is watched now. */
  const open = (key: string, { path, counts }: Wanted): boolean => {
    try {
      const watcher = watch(path, (_event, name) => {
        // Of itself: it was moved or removed, and another one may come in its place, even with its inode number.
        if (name === basename(path)) forget(key);
        if (name === null || name === basename(path) || counts(name)) changed();
      });
      watchers.set(key, watcher);
      watcher.on('error', (error) => {
        forget(key);
        cannotWatch(error);
      });
      return true;
    } catch (error) {
      cannotWatch(error);
      return false;
    }
  };

  const follow = (directories: Tree['directories']): void => {
    const wanted = new Map([...wayTo(root), ...below(directories), ...gitOf(root)]);
    for (const key of watchers.keys()) if (!wanted.has(key)) forget(key);
    blind = false;
    const opened = [...wanted].filter(([key, one]) => !watchers.has(key) && open(key, one));
    // What changed before it was watched is seen by a scan.
    if (opened.length > 0) changed();
  };

  return {
    get seesEvents() {
      return !blind;
    },
    follow(directories) {
      if (closed) return;
      try {
        follow(directories);
      } catch (error) {
        // The way changed while it was looked at; the next run looks again.
        log.debug({ err: error }, 'the directory could not be followed');
      }
    },
    close() {
      closed = true;
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}

/** The directories in which the root, or a link on the way to it, is an entry. */
function wayTo(root: string): [string, Wanted][] {
  const chain = chainOf(root);
  const names = new Set(chain.flatMap(withAncestors));
  const parents = new Set(chain.map((path) => nearest(dirname(path))));
  return [...parents].map((path) => [
    JSON.stringify(['way', path, identityOf(path), chain]),
    { path, counts: (name) => names.has(join(path, name)) },
  ]);
}

function below(directories: Tree['directories']): [string, Wanted][] {
  return [...directories].map(([path, identity]) => [
    `below ${path} ${identity}`,
    { path, counts: (name) => !isHidden(name) },
  ]);
}

/** Whatever moves HEAD, or the branch that it names, locks it meanwhile. */
function gitOf(root: string): [string, Wanted][] {
  const real = realPath(root);
  const path = real === null ? null : gitDirOf(real);
  if (path === null || !existsSync(path)) return [];
  return [[`git ${path} ${identityOf(path)}`, { path, counts: (name) => name.startsWith('HEAD') }]];
}

/** Where git keeps what it knows of the checkout that this directory is in; null: it is in none. */
function gitDirOf(directory: string): string | null {
  const path = join(directory, '.git');
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return directory === dirname(directory) ? null : gitDirOf(dirname(directory));
  if (!status.isFile()) return path;
  // A worktree.
  const target = /^gitdir: (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1];
  return target === undefined ? null : resolve(directory, target);
}

/** Names with a dot are not read, but a ConfigMap swaps all its files by the link `..data`. */
function isHidden(name: string): boolean {
  return name.startsWith('.') && name !== '..data';
}

/** The root and every link that leads on from it: a swap of any of them moves the directory. */
function chainOf(root: string): string[] {
  const chain: string[] = [];
  let path = resolve(root);
  while (chain.length < MAX_LINKS && !chain.includes(path)) {
    chain.push(path);
    const link = firstLink(path);
    if (link === null) break;
    if (link.path !== path) chain.push(link.path);
    path = resolve(dirname(link.path), link.target, link.rest);
  }
  return chain;
}

/** The first component of a path that is a link. */
function firstLink(path: string): { path: string; target: string; rest: string } | null {
  const parts = path.split('/').slice(1);
  for (const [index] of parts.entries()) {
    const at = `/${parts.slice(0, index + 1).join('/')}`;
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
    return { path: at, target: readlinkSync(at), rest: parts.slice(index + 1).join('/') };
  }
  return null;
}

function withAncestors(path: string): string[] {
  return path === dirname(path) ? [path] : [path, ...withAncestors(dirname(path))];
}

/** The path itself, or the nearest directory above it that is there. */
function nearest(path: string): string {
  return existsSync(path) || path === '/' ? path : nearest(dirname(path));
}

/** Tells a directory from a later one of the same path. */
function identityOf(path: string): string {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status === undefined ? '' : `${status.dev}:${status.ino}`;
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
