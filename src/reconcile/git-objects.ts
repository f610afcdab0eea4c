/**
 * Objects of a repository, each held against its own id. Whoever can write into the repository can put other bytes
 * under an id; what is read here follows from the id of the commit alone.
 */
import { hash } from 'node:crypto';
import { createPace } from '../manifest/pace.ts';
import { type Git, GitError } from './git.ts';

export interface GitObject {
  readonly id: string;
  readonly type: string;
  readonly bytes: Buffer;
}

export interface TreeEntry {
  /** As in the tree object: `40000` a directory, `100...` a file, `120000` a link, `160000` a commit elsewhere. */
  readonly mode: string;
  readonly name: string;
  readonly id: string;
}

/** What a commit says of itself. */
export interface Commit {
  readonly id: string;
  readonly tree: string;
  /** `Name <e-mail>`. */
  readonly author: string;
  /** The first paragraph of its message, on one line. */
  readonly subject: string;
  readonly signed: boolean;
  /** The object. */
  readonly bytes: Buffer;
}

const MAX_TEXT = 256;

/** In the order of the ids. Rejects with {@link GitError} when one is missing or is not what its id says. */
export async function readObjects(git: Git, gitDir: string, ids: readonly string[]): Promise<GitObject[]> {
  if (ids.length === 0) return [];
  const output = await git.run(['--git-dir', gitDir, 'cat-file', '--batch'], {
    input: `${ids.join('\n')}\n`,
  });
  const objects: GitObject[] = [];
  const breathe = createPace();
  let at = 0;
  for (const id of ids) {
    const end = output.indexOf(0x0a, at);
    const [, type = '', size = ''] = output.toString('latin1', at, end).split(' ');
    if (!/^\d+$/.test(size)) throw new GitError(`object ${id} is not there`, null);
    const start = end + 1;
    // A copy: a part would keep the whole output in memory for as long as it lives.
    const bytes = Buffer.from(output.subarray(start, start + Number(size)));
    if (objectId(type, bytes, id.length) !== id)
      throw new GitError(`object ${id} does not hold what its id says: the repository is damaged`, null);
    objects.push({ id, type, bytes });
    at = start + Number(size) + 1;
    await breathe();
  }
  return objects;
}

/** How many bytes each object has; null: it is not there. */
export async function sizesOf(git: Git, gitDir: string, ids: readonly string[]): Promise<(number | null)[]> {
  if (ids.length === 0) return [];
  const format = '--batch-check=%(objectsize)';
  const text = await git.text(['--git-dir', gitDir, 'cat-file', format], { input: `${ids.join('\n')}\n` });
  return text.split('\n').map((size) => (/^\d+$/.test(size) ? Number(size) : null));
}

/** The id that git gives to an object; its length tells which hash the repository uses. */
export function objectId(type: string, bytes: Uint8Array, length: number): string {
  const whole = Buffer.concat([Buffer.from(`${type} ${bytes.length}\0`), bytes]);
  return hash(length === 64 ? 'sha256' : 'sha1', whole, 'hex');
}

/** Rejects with {@link GitError} when it is no commit. */
export async function readCommit(git: Git, gitDir: string, id: string): Promise<Commit> {
  const [object] = await readObjects(git, gitDir, [id]);
  const { type, bytes } = object!;
  const end = bytes.indexOf('\n\n');
  const head = end < 0 ? bytes : bytes.subarray(0, end);
  const headers = new Map(
    // A line that begins with a space continues the one before.
    head
      .toString('latin1')
      .split(/\n(?! )/)
      .map((line): [string, string] => [line.split(' ', 1)[0]!, line.slice(line.indexOf(' ') + 1)]),
  );
  const tree = headers.get('tree') ?? '';
  if (type !== 'commit' || tree.length !== id.length) throw new GitError(`${id} is no commit`, null);
  const decode = decoderOf(headers.get('encoding'));
  const author = decode(Buffer.from(headers.get('author') ?? '', 'latin1')).replace(/ \d+ [+-]\d+$/, '');
  const [paragraph = ''] = decode(end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 2))
    .trimStart()
    .split(/\n\s*\n/, 1);
  const subject = paragraph.trim().replace(/\s*\n\s*/g, ' ');
  const signed = [...headers.keys()].some((name) => name.startsWith('gpgsig'));
  return { id, tree, author: cut(author), subject: cut(subject), signed, bytes };
}

/** The entries of a tree object. Throws {@link GitError} when it is none that git would have made. */
export function parseTree({ id, type, bytes }: GitObject): TreeEntry[] {
  const entries: TreeEntry[] = [];
  /** As bytes: what is no UTF-8 may read the same. */
  const names = new Set<string>();
  const width = id.length / 2;
  let sound = type === 'tree';
  for (let at = 0; sound && at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const end = bytes.indexOf(0, space);
    const mode = bytes.toString('latin1', at, space);
    const name = bytes.toString('utf8', space + 1, end);
    at = end + 1 + width;
    sound = space > 0 && end > space && at <= bytes.length && /^\d{5,6}$/.test(mode) && isName(name);
    entries.push({ mode, name, id: bytes.toString('hex', end + 1, at) });
    names.add(bytes.toString('latin1', space + 1, end));
  }
  if (!sound || names.size < entries.length) throw new GitError(`object ${id} is no sound tree`, null);
  return entries;
}

function isName(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('/');
}

function decoderOf(encoding = 'utf-8'): (bytes: Buffer) => string {
  try {
    const decoder = new TextDecoder(encoding);
    return (bytes) => decoder.decode(bytes);
  } catch {
    return (bytes) => bytes.toString('utf8');
  }
}

function cut(text: string): string {
  return text.slice(0, MAX_TEXT).toWellFormed();
}
