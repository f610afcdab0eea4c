/**
 * The files of a manifest directory at one moment. The directory is not trusted to hold still, nor to hold files:
 * links may lead out of it, names may be pipes or devices, and entries come and go while it is read.
 */
import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { systemClock } from '../clock.ts';
import { compareText, type Diagnostic, errorAt } from './diagnostic.ts';
import { createPace, type Pace } from './pace.ts';

export interface TreeFile {
  /** Below the root, with forward slashes. */
  readonly path: string;
  readonly bytes: Buffer;
  /** Lower-case hex SHA-256 of the bytes. */
  readonly digest: string;
}

export interface Tree {
  /** By path, in order of path. */
  readonly files: ReadonlyMap<string, TreeFile>;
  /** Entries that cannot be read, each at its own path; that of a directory stands for all below it. */
  readonly diagnostics: readonly Diagnostic[];
  /** `sha256:` and the digest over all paths and contents, and over what could not be read. */
  readonly digest: string;
  /** The real path of every directory that something was read from, and what tells it from a later one of this path. */
  readonly directories: ReadonlyMap<string, string>;
  /** By path, of files that had been at rest for a while when they were read. */
  readonly stamps: ReadonlyMap<string, Stamp>;
}

/** What the system says of a file: as long as it says the same, it is most likely the same content. */
export type Stamp = Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs' | 'ctimeMs'>;

export interface ReadOptions {
  /** The tree of an earlier reading: what has not changed since takes no more memory. */
  readonly earlier?: Tree | null;
  /** Whether a file whose stamp has not changed is taken from it unread. */
  readonly trust?: boolean;
  /** Whether what was written while it was read will do. */
  readonly restless?: boolean;
  /** Wall clock, in milliseconds. */
  readonly now?: number;
}

/** The directory changed while it was read, or is not there: look again later. */
export class TreeUnreadable extends Error {
  override readonly name = 'TreeUnreadable';
}

/** A document that a manifest refers to may be larger than a manifest; nothing may be larger than this. */
export const MAX_DATA_BYTES = 32 * 1024 * 1024;
/** Milliseconds: clocks of file systems are coarse, and within a tick a second change has the stamp of the first. */
const REST_MS = 2_000;
/** More is most likely the wrong directory. */
const MAX_ENTRIES = 100_000;
const MAX_TOTAL_BYTES = 512 * 1024 * 1024;
const MAX_DEPTH = 32;

const START = { line: 1, column: 1 };
const READABLE = /\.(ya?ml|json)$/i;

interface Walk {
  /** The real path. */
  readonly root: string;
  readonly files: TreeFile[];
  /** What was there the last time: a file of the same content is the same object. */
  readonly before: ReadonlyMap<string, TreeFile>;
  /** Of what was there the last time, as far as they are trusted. */
  readonly trusted: ReadonlyMap<string, Stamp>;
  readonly stamps: Map<string, Stamp>;
  /** Wall clock at the begin. */
  readonly began: number;
  readonly diagnostics: Diagnostic[];
  /** Where each link led that was followed. */
  readonly links: Map<string, string>;
  readonly directories: Map<string, string>;
  /** What each file and directory was like before it was read, by its real path. */
  readonly looks: Map<string, string>;
  readonly breathe: Pace;
  entries: number;
  bytes: number;
}

/** A directory on the way: its path below the root, and where it really is. */
interface Place {
  readonly path: string;
  readonly real: string;
  /** The real paths on the way here, so that a link to one of them is seen as a loop. */
  readonly above: readonly string[];
}

/**
 * Reads every `.yaml`, `.yml` and `.json` file below `root`, links inside of it included; names that begin with a dot
 * and `*.test.yaml` are left out. Rejects with {@link TreeUnreadable} when the directory is gone or changes meanwhile.
 */
export async function readTree(root: string, options: ReadOptions = {}): Promise<Tree> {
  const { earlier, trust = false, restless = false, now = systemClock.now() } = options;
  const real = seen(root, () => realpathSync(root));
  const links = new Map([[root, real]]);
  const walk: Walk = {
    ...{ root: real, files: [], diagnostics: [], links, entries: 0, bytes: 0 },
    ...{ directories: new Map(), looks: new Map() },
    before: earlier?.files ?? new Map(),
    trusted: (trust ? earlier?.stamps : null) ?? new Map(),
    stamps: new Map(),
    began: now,
    breathe: createPace(),
  };
  await readDirectory(walk, { path: '', real, above: [] });
  // A link that was swapped meanwhile would give one half of two revisions.
  for (const [link, target] of links) {
    if (seen(link, () => realpathSync(link)) !== target)
      throw new TreeUnreadable(`${link} changed while it was read`);
  }
  const tree = makeTree(walk.files, walk.diagnostics, walk.directories, walk.stamps);
  if (!restless && tree.digest !== earlier?.digest) await checkStill(walk);
  return tree;
}

/** What was written while it was read may have been read in part, as one file of before and one of after. */
async function checkStill({ looks, breathe }: Walk): Promise<void> {
  for (const [path, look] of looks) {
    if (lookOf(seen(path, () => statSync(path))) !== look)
      throw new TreeUnreadable(`${path} changed while it was read`);
    await breathe();
  }
}

function lookOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}:${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** A tree of files that are in memory already. */
export function makeTree(
  list: readonly TreeFile[],
  diagnostics: readonly Diagnostic[],
  directories: Tree['directories'] = new Map(),
  stamps: Tree['stamps'] = new Map(),
): Tree {
  const sorted = [...list].sort((a, b) => compareText(a.path, b.path));
  const files = new Map(sorted.map((file) => [file.path, file]));
  return { files, diagnostics, digest: digestOf(files, diagnostics), directories, stamps };
}

export function treeFile(path: string, bytes: Buffer): TreeFile {
  return { path, bytes, digest: hash('sha256', bytes, 'hex') };
}

/** Whether a file of this path below the root is read: by its ending, and no part of it is hidden. */
export function isManifestFile(path: string): boolean {
  return READABLE.test(path) && !path.split('/').some(isLeftOut);
}

function isLeftOut(name: string): boolean {
  return name.startsWith('.') || /\.test\.ya?ml$/i.test(name);
}

async function readDirectory(walk: Walk, place: Place): Promise<void> {
  const entries = list(walk, place);
  const above = [...place.above, place.real];
  for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
    if (isLeftOut(entry.name)) continue;
    const path = place.path === '' ? entry.name : `${place.path}/${entry.name}`;
    const below: Place = { path, real: join(place.real, entry.name), above };
    walk.entries += 1;
    if (walk.entries > MAX_ENTRIES)
      throw new TreeUnreadable(`${walk.root} cannot be read: it has more than ${MAX_ENTRIES} entries`);
    if (entry.name.includes('\uFFFD') && !(entry.isFile() && !READABLE.test(path)))
      refuse(walk, path, 'bad-file-name', 'the name of this entry is not UTF-8', 'rename it');
    else if (entry.isSymbolicLink()) await followLink(walk, below);
    else if (entry.isDirectory()) await enterDirectory(walk, below);
    else if (READABLE.test(path)) await readEntry(walk, below, entry.isFile());
    await walk.breathe();
  }
}

function list(walk: Walk, { path, real }: Place): Dirent[] {
  try {
    walk.looks.set(real, lookOf(noteDirectory(walk, real)));
    return readdirSync(real, { withFileTypes: true });
  } catch (error) {
    const code = codeOf(error);
    if (path === '' || isPassing(code)) throw unreadable(real, error);
    refuse(walk, path, 'unreadable', `the directory cannot be read (${code})`, 'check its owner and mode');
    return [];
  }
}

function noteDirectory({ directories }: Walk, real: string): Stats {
  const status = statSync(real);
  directories.set(real, `${status.dev}:${status.ino}`);
  return status;
}

async function followLink(walk: Walk, { path, real: link, above }: Place): Promise<void> {
  let target: string;
  try {
    target = realpathSync(link);
  } catch (error) {
    const code = codeOf(error);
    const leadsNowhere = code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR';
    // It may have led to a directory of manifests, unless it has the name of another kind of file.
    if (leadsNowhere && (READABLE.test(path) || !/\.[^/]+$/.test(path)))
      refuse(walk, path, 'broken-link', 'the link leads nowhere');
    else if (!leadsNowhere)
      refuse(walk, path, 'unreadable', `the link cannot be followed (${code})`, 'check owner and mode');
    return;
  }
  const status = statSync(target, { throwIfNoEntry: false });
  if (status === undefined) throw new TreeUnreadable(`${link} changed while it was read`);
  if (!status.isDirectory() && !READABLE.test(path)) return;
  const inside = relative(walk.root, target);
  const owner = tenantOf(inside);
  walk.links.set(link, target);
  if (status.isFile()) noteDirectory(walk, dirname(target));
  if (inside === '..' || inside.startsWith(`..${sep}`)) {
    refuse(walk, path, 'leaves-directory', 'the link leaves the directory', 'put the file itself here');
  } else if (owner !== null && owner !== tenantOf(path)) {
    refuse(walk, path, 'foreign-file', `the link leads to a file of tenant ${owner}`, 'copy the file');
  } else if (status.isDirectory()) {
    await enterDirectory(walk, { path, real: target, above });
  } else {
    await readEntry(walk, { path, real: target, above }, status.isFile());
  }
}

/** The tenant whose directory a path is in. A ConfigMap keeps its files one level deeper, in `..<time>/`. */
function tenantOf(path: string): string | null {
  return /^(?:\.\.[^/]+\/)?tenants\/([^/]+)(?:\/|$)/.exec(path)?.[1] ?? null;
}

async function enterDirectory(walk: Walk, place: Place): Promise<void> {
  if (place.above.includes(place.real)) {
    refuse(walk, place.path, 'link-loop', 'the link leads back to a directory above it');
  } else if (place.above.length > MAX_DEPTH) {
    refuse(walk, place.path, 'too-deep', `directories are nested more than ${MAX_DEPTH} deep`);
  } else {
    await readDirectory(walk, place);
  }
}

async function readEntry(walk: Walk, { path, real }: Place, regular: boolean): Promise<void> {
  if (regular && isUnchanged(walk, path, real)) return;
  const handle = regular ? openFile(walk, path, real) : null;
  if (handle === null) {
    if (!regular) refuse(walk, path, 'not-a-file', 'this is no regular file');
    return;
  }
  try {
    const status = fstatSync(handle);
    walk.looks.set(real, lookOf(status));
    if (!status.isFile()) {
      refuse(walk, path, 'not-a-file', 'this is no regular file');
    } else if (status.size > MAX_DATA_BYTES) {
      const most = `${MAX_DATA_BYTES / 1024 / 1024} MiB`;
      refuse(walk, path, 'file-too-large', `the file has ${status.size} bytes; at most ${most} are read`);
    } else {
      count(walk, status.size);
      walk.files.push(await readContent(walk, path, handle, status.size));
      if (Math.max(status.ctimeMs, status.mtimeMs) < walk.began - REST_MS)
        walk.stamps.set(path, stampOf(status));
    }
  } catch (error) {
    if (error instanceof TreeUnreadable) throw error;
    refuseUnreadable(walk, path, real, error);
  } finally {
    closeSync(handle);
  }
}

/** Whether a file is as it was the last time, and is taken from there. */
function isUnchanged(walk: Walk, path: string, real: string): boolean {
  const stamp = walk.trusted.get(path);
  const known = walk.before.get(path);
  if (stamp === undefined || known === undefined) return false;
  const status = lstatSync(real, { throwIfNoEntry: false });
  if (status?.isFile() !== true || !isSame(stamp, status)) return false;
  count(walk, status.size);
  walk.files.push(known);
  walk.stamps.set(path, stamp);
  return true;
}

function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): Stamp {
  return { dev, ino, size, mtimeMs, ctimeMs };
}

function isSame(a: Stamp, b: Stamp): boolean {
  // A change of the content changes ctime, which nobody can set, other than mtime.
  return (
    a.ctimeMs === b.ctimeMs &&
    a.mtimeMs === b.mtimeMs &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.dev === b.dev
  );
}

function count(walk: Walk, size: number): void {
  walk.bytes += size;
  if (walk.bytes > MAX_TOTAL_BYTES)
    throw new TreeUnreadable(
      `${walk.root} cannot be read: it has more than ${MAX_TOTAL_BYTES / 1024 / 1024} MiB`,
    );
}

/** A handle; null: refused. O_NONBLOCK: to open a pipe would else wait for a writer. */
function openFile(walk: Walk, path: string, real: string): number | null {
  try {
    // The real path has no links; one that has come meanwhile is not followed.
    return openSync(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    refuseUnreadable(walk, path, real, error);
    return null;
  }
}

function refuseUnreadable(walk: Walk, path: string, real: string, error: unknown): void {
  const code = codeOf(error);
  if (isPassing(code)) throw unreadable(real, error);
  refuse(walk, path, 'unreadable', `the file cannot be read (${code})`, 'check its owner and mode');
}

/** Most files have not changed, and need no memory of their own: what was read last, until the next is. */
const SCRATCH = Buffer.alloc(64 * 1024);
/** Bytes of a larger file that are read between two looks at the clock. */
const PORTION = 1024 * 1024;

/** No more than what the file had when it was opened: one that grows without end is cut, and seen at the next scan. */
async function readContent(walk: Walk, path: string, handle: number, size: number): Promise<TreeFile> {
  if (size <= SCRATCH.length) {
    const bytes = SCRATCH.subarray(0, readPortion(handle, SCRATCH, 0, size));
    return keep(walk, path, hash('sha256', bytes, 'hex'), () => Buffer.from(bytes));
  }
  const bytes = Buffer.alloc(size);
  const digest = createHash('sha256');
  let length = 0;
  for (let portion = -1; portion !== 0; length += portion) {
    portion = readPortion(handle, bytes, length, Math.min(PORTION, size - length));
    digest.update(bytes.subarray(length, length + portion));
    await walk.breathe();
  }
  return keep(walk, path, digest.digest('hex'), () => bytes.subarray(0, length));
}

/** Reads so many bytes, or to the end of the file; gives how many there were. */
function readPortion(handle: number, bytes: Buffer, at: number, size: number): number {
  let length = 0;
  while (length < size) {
    const read = readSync(handle, bytes, at + length, size - length, null);
    if (read === 0) break;
    length += read;
  }
  return length;
}

function keep({ before }: Walk, path: string, digest: string, bytes: () => Buffer): TreeFile {
  const known = before.get(path);
  return known?.digest === digest ? known : { path, bytes: bytes(), digest };
}

function refuse(walk: Walk, path: string, rule: string, message: string, hint: string | null = null): void {
  walk.diagnostics.push(errorAt(path, START, rule, message, hint));
}

function digestOf(files: ReadonlyMap<string, TreeFile>, diagnostics: readonly Diagnostic[]): string {
  const parts = [...files.values()].map(({ path, digest }) => [path, digest]);
  const refused = diagnostics.map(({ file, message }) => [file, message]).sort();
  return `sha256:${hash('sha256', JSON.stringify([parts, refused]), 'hex')}`;
}

function seen<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The entry came or went meanwhile, or the system is short of something: nothing is known of the file itself. */
function isPassing(code: string): boolean {
  return /^(ENOENT|ENOTDIR|ELOOP|EMFILE|ENFILE|ENOMEM|EAGAIN|EINTR|ESTALE)$/.test(code);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function unreadable(path: string, error: unknown): TreeUnreadable {
  const code = codeOf(error);
  const why =
    code === 'ENOENT'
      ? 'is not there'
      : code === 'ENOTDIR'
        ? 'is not a directory'
        : `cannot be read (${code})`;
  return new TreeUnreadable(`${path} ${why}`, { cause: error });
}
