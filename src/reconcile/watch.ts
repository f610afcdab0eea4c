/**
 * Notices that the directory may have changed. Events are hints: they only ask for a scan. Two watchers, because one
 * is blind (traps: watching): the first looks at the parents of the root and of every link on the way to it, so that a
 * swap of a link or of the root itself is seen; the second at the real directory and all below it.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import type { Log } from '../log.ts';

export interface Watcher {
  /** False: the system gives no events (its limits are used up), and the resync must do. */
  readonly seesEvents: boolean;
  /** Looks again where the root really is, after it may have moved. */
  follow(): void;
  close(): Promise<void>;
}

const MAX_LINKS = 40;

/** Watches `root`, which need not be there yet; calls `changed` for every hint. */
export function watchTree(root: string, changed: () => void, log: Log): Watcher {
  let seesEvents = true;
  let outer: { key: string; watcher: FSWatcher } | null = null;
  let inner: { key: string; watcher: FSWatcher } | null = null;
  let closing: Promise<unknown>[] = [];

  const open = (paths: string[], depth: number | null, relevant: (path: string) => boolean): FSWatcher => {
    const watcher = watch(paths, {
      followSymlinks: false,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      ...(depth !== null && { depth }),
      ignored: (path) => !paths.includes(path) && !relevant(path),
    });
    watcher.on('all', changed);
    watcher.on('error', (error) => {
      const { code } = error as NodeJS.ErrnoException;
      if (seesEvents)
        log.warn(
          { code, err: error },
          'file events are not to be had here; the directory is scanned instead',
        );
      seesEvents = false;
      changed();
    });
    return watcher;
  };

  const replace = (old: { watcher: FSWatcher } | null): void => {
    if (old !== null) closing.push(old.watcher.close());
  };

  const follow = (): void => {
    const links = chainOf(root);
    const names = new Set(links);
    const parents = [...new Set(links.map((path) => nearest(dirname(path))))];
    const outerKey = JSON.stringify([parents, links]);
    if (outer?.key !== outerKey) {
      replace(outer);
      outer = { key: outerKey, watcher: open(parents, 0, (path) => names.has(path)) };
    }
    const real = realPath(root);
    const innerKey = real === null ? '' : `${real} ${lstatSync(real, { throwIfNoEntry: false })?.ino}`;
    if (inner?.key !== innerKey) {
      replace(inner);
      const hidden = (path: string): boolean => basename(path).startsWith('.') && basename(path) !== '..data';
      inner = real === null ? null : { key: innerKey, watcher: open([real], null, (path) => !hidden(path)) };
    }
  };

  follow();
  return {
    get seesEvents() {
      return seesEvents;
    },
    follow,
    async close() {
      replace(outer);
      replace(inner);
      await Promise.all(closing);
      closing = [];
    },
  };
}

/** The root and every link that leads on from it: a swap of any of them moves the directory. */
function chainOf(root: string): string[] {
  const chain: string[] = [];
  let path = resolve(root);
  while (chain.length < MAX_LINKS) {
    chain.push(path);
    const link = firstLink(path);
    if (link === null) return chain;
    if (!chain.includes(link.path)) chain.push(link.path);
    path = resolve(dirname(link.path), link.target, link.rest);
    if (chain.includes(path)) return chain;
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

/** The path itself, or the nearest directory above it that is there. */
function nearest(path: string): string {
  return existsSync(path) || path === '/' ? path : nearest(dirname(path));
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
