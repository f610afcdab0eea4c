/**
 * The files of a manifest directory at one moment. The directory is not trusted to hold still, nor to hold files:
 * links may lead out of it, names may be pipes or devices, and entries come and go while it is read.
 */
import { hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { compareText, type Diagnostic, errorAt } from './diagnostic.ts';

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
  /** Entries that cannot be read as files. */
  readonly diagnostics: readonly Diagnostic[];
  /** `sha256:` and the digest over all paths and contents, and over what could not be read. */
  readonly digest: string;
}

/** The directory changed while it was read, or is not there: look again later. */
export class TreeUnreadable extends Error {
  override readonly name = 'TreeUnreadable';
}

/** A document that a manifest refers to may be larger than a manifest; nothing may be larger than this. */
export const MAX_DATA_BYTES = 32 * 1024 * 1024;
/** More is most likely the wrong directory. */
const MAX_FILES = 100_000;
const MAX_DEPTH = 32;
/** Files read without a break; the event loop gets its turn in between. */
const SLICE = 64;

const START = { line: 1, column: 1 };
const READABLE = /\.(ya?ml|json)$/;

interface Walk {
  readonly root: string;
  readonly files: Map<string, TreeFile>;
  readonly diagnostics: Diagnostic[];
  reads: number;
}

/**
 * Reads every `.yaml`, `.yml` and `.json` file below `root`, links inside of it included; names that begin with a dot
 * and `*.test.yaml` are left out. Rejects with {@link TreeUnreadable} when the directory is gone or changes meanwhile.
 */
export async function readTree(root: string): Promise<Tree> {
  const walk: Walk = {
    root: vanishing(root, () => realpathSync(root)),
    files: new Map(),
    diagnostics: [],
    reads: 0,
  };
  await readDirectory(walk, '', [walk.root]);
  return makeTree([...walk.files.values()], walk.diagnostics);
}

/** A tree of files that are in memory already. */
export function makeTree(list: readonly TreeFile[], diagnostics: readonly Diagnostic[]): Tree {
  const sorted = [...list].sort((a, b) => compareText(a.path, b.path));
  const files = new Map(sorted.map((file) => [file.path, file]));
  return { files, diagnostics, digest: digestOf(files, diagnostics) };
}

export function treeFile(path: string, bytes: Buffer): TreeFile {
  return { path, bytes, digest: hash('sha256', bytes, 'hex') };
}

/** Whether a file of this path below the root is read: by its ending, and no part of it is hidden. */
export function isManifestFile(path: string): boolean {
  return READABLE.test(path) && !path.split('/').some(isLeftOut);
}

function isLeftOut(name: string): boolean {
  return name.startsWith('.') || /\.test\.ya?ml$/.test(name);
}

/** `above` holds the real paths on the way here, so that a link to one of them is seen as a loop. */
async function readDirectory(walk: Walk, path: string, above: readonly string[]): Promise<void> {
  const directory = join(walk.root, path);
  const entries = vanishing(directory, () => readdirSync(directory, { withFileTypes: true }));
  for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
    if (isLeftOut(entry.name)) continue;
    const below = path === '' ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory() || entry.isSymbolicLink())
      await followEntry(walk, below, entry.isDirectory(), above);
    else readEntry(walk, below, entry.isFile());
    walk.reads += 1;
    if (walk.reads > MAX_FILES) throw new TreeUnreadable(`more than ${MAX_FILES} entries below ${walk.root}`);
    if (walk.reads % SLICE === 0) await breathe();
  }
}

async function followEntry(
  walk: Walk,
  path: string,
  plain: boolean,
  above: readonly string[],
): Promise<void> {
  const full = join(walk.root, path);
  let real: string;
  try {
    real = realpathSync(full);
  } catch (error) {
    if (plain) throw gone(full, error);
    if (READABLE.test(path)) refuse(walk, path, 'broken-link', 'the link leads nowhere');
    return;
  }
  if (real !== walk.root && !real.startsWith(walk.root + sep)) {
    refuse(walk, path, 'leaves-directory', 'the link leaves the directory', 'put the file itself here');
    return;
  }
  if (!plain && !isDirectory(full)) {
    readEntry(walk, path, true);
  } else if (above.includes(real)) {
    refuse(walk, path, 'link-loop', 'the link leads back to a directory above it');
  } else if (above.length > MAX_DEPTH) {
    refuse(walk, path, 'too-deep', `directories are nested more than ${MAX_DEPTH} deep`);
  } else {
    await readDirectory(walk, path, [...above, real]);
  }
}

function isDirectory(full: string): boolean {
  return statSync(full, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function readEntry(walk: Walk, path: string, regular: boolean): void {
  if (!READABLE.test(path)) return;
  const full = join(walk.root, path);
  const handle = regular ? openFile(full) : 'not a file';
  if (typeof handle === 'string') {
    if (handle === 'not a file') refuse(walk, path, 'not-a-file', 'this is no regular file');
    else refuse(walk, path, 'unreadable', `the file cannot be read (${handle})`, 'check its owner and mode');
    return;
  }
  try {
    const status = fstatSync(handle);
    if (!status.isFile()) {
      refuse(walk, path, 'not-a-file', 'this is no regular file');
    } else if (status.size > MAX_DATA_BYTES) {
      const most = `${MAX_DATA_BYTES / 1024 / 1024} MiB`;
      refuse(walk, path, 'file-too-large', `the file has ${status.size} bytes; at most ${most} are read`);
    } else {
      const bytes = readWhole(handle, status.size);
      walk.files.set(path, treeFile(path, bytes));
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    refuse(walk, path, 'unreadable', `the file cannot be read (${code ?? 'it changed meanwhile'})`);
  } finally {
    closeSync(handle);
  }
}

/** A handle, or the code of the error. O_NONBLOCK: to open a pipe would otherwise wait for a writer. */
function openFile(full: string): number | string {
  try {
    return openSync(full, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw gone(full, error);
    return code ?? 'unknown';
  }
}

/** No more than what the file had when it was opened: one that grows without end is cut, and seen at the next scan. */
function readWhole(handle: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const read = readSync(handle, bytes, length, size - length, null);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}

function refuse(walk: Walk, path: string, rule: string, message: string, hint: string | null = null): void {
  walk.diagnostics.push(errorAt(path, START, rule, message, hint));
}

function digestOf(files: ReadonlyMap<string, TreeFile>, diagnostics: readonly Diagnostic[]): string {
  const parts = [...files.values()].map(({ path, digest }) => [path, digest]);
  const refused = diagnostics.map(({ file, rule }) => [file, rule]).sort();
  return `sha256:${hash('sha256', JSON.stringify([parts, refused]), 'hex')}`;
}

function vanishing<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw gone(path, error);
  }
}

function gone(path: string, error: unknown): TreeUnreadable {
  const { code } = error as NodeJS.ErrnoException;
  const why =
    code === 'ENOENT'
      ? 'is not there'
      : code === 'ENOTDIR'
        ? 'is not a directory'
        : `cannot be read (${code})`;
  return new TreeUnreadable(`${path} ${why}`, { cause: error });
}
