/**
 * Notices that the directory may have changed. Events are hints: they only ask for a scan. Two watchers, because one
 * is blind (traps: watching): the first looks at the parents of the root and of every link on the way to it, so that a
 * swap of a link or of the root itself is seen; the second at the real directory and all below it.
 */
import {
  type FSWatcher as DirectoryWatcher,
  existsSync,
  lstatSync,
  readlinkSync,
  realpathSync,
  watch,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { watch as watchBelow } from 'chokidar';
import type { Log } from '../log.ts';

export interface Watcher {
  /** False: the system gives no events (its limits are used up), and scans must do. */
  readonly seesEvents: boolean;
  /** Looks again where the root really is, after it may have moved. Never throws. */
  follow(): void;
  close(): Promise<void>;
}

const MAX_LINKS = 40;

/** What is watched at the moment: `key` says where. */
interface Watching {
  readonly key: string;
  /** It gives no events, or not all. */
  blind: boolean;
  close(): unknown;
}

/** Watches `root`, which need not be there yet; calls `changed` for every hint. */
export function watchTree(root: string, changed: () => void, log: Log): Watcher {
  let way: Watching | null = null;
  let below: Watching | null = null;
  let moved = false;
  let told = false;
  let closed = false;
  let closing: Promise<unknown> = Promise.resolve();

  const cannotWatch = (watching: Watching, error: unknown): void => {
    const { code } = error as NodeJS.ErrnoException;
    // What has just gone is no fault of the system.
    if (closed || watching.blind || code === 'ENOENT') return;
    watching.blind = true;
    if (told) return;
    told = true;
    log.warn({ code, err: error }, 'file events are not to be had here; the directory is scanned instead');
  };

  const watchWay = (key: string, chain: readonly string[], parents: ReadonlySet<string>): Watching => {
    const names = new Set(chain.flatMap(withAncestors));
    const watchers: DirectoryWatcher[] = [];
    const watching: Watching = {
      ...{ key, blind: false },
      close: () => watchers.map((watcher) => watcher.close()),
    };
    const onEvent = (): void => {
      moved = true;
      changed();
    };
    for (const parent of parents) {
      try {
        watchers.push(watchDirectory(parent, names, onEvent, (error) => cannotWatch(watching, error)));
      } catch (error) {
        cannotWatch(watching, error);
      }
    }
    return watching;
  };

  const watchReal = (key: string, real: string): Watching => {
    const watcher = watchBelow(real, {
      followSymlinks: false,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      ignored: (path) => path !== real && isHidden(path),
    });
    const watching: Watching = { key, blind: false, close: () => watcher.close() };
    // What changed before it could see is seen by a scan.
    watcher.on('ready', changed).on('all', changed);
    // Of a file that a directory has taken the place of, the library tells nothing but this.
    watcher.on('raw', (_event, path) => {
      if (typeof path !== 'string' || !isHidden(path)) changed();
    });
    watcher.on('error', (error) => cannotWatch(watching, error));
    return watching;
  };

  const follow = (): void => {
    const chain = chainOf(root);
    const parents = new Set(chain.map((path) => nearest(dirname(path))));
    const wayKey = JSON.stringify([chain, [...parents].map(identityOf)]);
    if (way?.key !== wayKey) {
      way?.close();
      way = watchWay(wayKey, chain, parents);
    }
    const real = realPath(root);
    const realKey = real === null ? null : `${real} ${identityOf(real)}`;
    if ((below?.key ?? null) !== realKey || moved) {
      moved = false;
      closing = Promise.all([closing, below?.close()]);
      below = real === null ? null : watchReal(realKey!, real);
    }
  };

  const followSafely = (): void => {
    if (closed) return;
    try {
      follow();
    } catch (error) {
      // The way changed while it was looked at; the next run looks again.
      log.debug({ err: error }, 'the directory could not be followed');
    }
  };

  followSafely();
  return {
    get seesEvents() {
      return way?.blind !== true && below?.blind !== true;
    },
    follow: followSafely,
    async close() {
      closed = true;
      way?.close();
      await Promise.all([closing, below?.close()]);
    },
  };
}

/** Events of one directory that are about one of these paths. Throws when the system gives none. */
function watchDirectory(
  directory: string,
  names: ReadonlySet<string>,
  onEvent: () => void,
  onError: (error: unknown) => void,
): DirectoryWatcher {
  const watcher = watch(directory, (_event, name) => {
    if (name === null || names.has(join(directory, name))) onEvent();
  });
  return watcher.on('error', onError);
}

/** Names with a dot are not read, but a ConfigMap swaps all its files by the link `..data`. */
function isHidden(path: string): boolean {
  const name = basename(path);
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
